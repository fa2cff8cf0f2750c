"""The source of each class: the 17 classes of DCASE 2017 task 4 in the official order."""

from __future__ import annotations

from av_tagger.synth import horns, sirens, vehicles, voices, wheels
from av_tagger.synth.dsp import Source

SOURCES: dict[str, Source] = {
    "Train horn": horns.train_horn,
    "Air horn, truck horn": horns.air_horn,
    "Car alarm": sirens.car_alarm,
    "Reversing beeps": sirens.reversing_beeps,
    "Bicycle": wheels.bicycle,
    "Skateboard": wheels.skateboard,
    "Ambulance (siren)": sirens.ambulance,
    "Fire engine, fire truck (siren)": sirens.fire_engine,
    "Civil defense siren": sirens.civil_defense,
    "Police car (siren)": sirens.police,
    "Screaming": voices.screaming,
    "Car": vehicles.car,
    "Car passing by": vehicles.car_passing,
    "Bus": vehicles.bus,
    "Truck": vehicles.truck,
    "Motorcycle": vehicles.motorcycle,
    "Train": wheels.train,
}
