"""File name suffixes: of films, of sounds, and of files that are never media."""

from __future__ import annotations


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


VIDEO = _suffixes("""
    3g2 3gp asf avi divx dv f4v flv h264 h265 hevc ivf m1v m2p m2ts m2v m4v mjpeg mjpg mkv mov
    mp4 mpeg mpg mts mxf nut ogm ogv qt rm rmvb ts vob webm wmv wtv y4m
""")
SOUND = _suffixes("""
    aac ac3 adt adts aif aifc aiff alac amr ape au awb bwf caf dsf dts eac3 flac gsm la m4a m4b
    mka mp1 mp2 mp3 mpa mpc ofr oga ogg oma opus ra rf64 shn snd spx tta voc w64 wav weba wma wv
""")
MEDIA = VIDEO | SOUND
# Such files of a folder are not opened to see what they are.
OTHER = _suffixes("""
    7z ai ass bat bin bmp bz2 c cfg class conf cpp crdownload css csv cue db dll doc docx eaf
    edl eml eps epub exe gif go gz h h5 hdf5 heic htm html ico idx ini ipynb iso jams jar java
    jpeg jpg js json jsonl key lab lock log lrc lst m3u m3u8 md mpd nfo npy npz o odp ods odt
    onnx parquet part pdf php pickle pkl pls png ppt pptx ps psd pt pth py pyc rar raw rb rs rst
    rtf rttm safetensors sh so sqlite srt ssa sub svg tar tex textgrid tgz tif tiff tmp toml
    torrent tsv txt vtt wasm webp whl xls xlsx xml xz yaml yml zip zst
""")
