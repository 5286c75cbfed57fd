"""What the synthetic voices say: strings of digits, and commands from a small grammar."""

from __future__ import annotations

import re
from random import Random

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHORTEST, LONGEST = 2, 7
"""Digits in a string."""

COMMANDS = (
    "turn {switch} the {room} {device}",
    "turn {switch} the {device} in the {room}",
    "please turn {switch} the {room} {device}",
    "set the {room} {device} to {percent} percent",
    "set the temperature in the {room} to {degrees} degrees",
    "set {article} {timer} for {count} {unit}",
    "wake me up at {clock} {day}",
    "remind me to {errand} at {clock}",
    "remind me {day} to {errand}",
    "call {person} on the {phone} phone",
    "call {person} now",
    "send a message to {person}",
    "tell {person} that i will be {count} minutes late",
    "what is the weather in {city} {day}",
    "will it rain in {city} {day}",
    "how far is it to {city}",
    "take me to the {place} in {city}",
    "where is the nearest {place}",
    "play {music} in the {room}",
    "play some {music}",
    "turn the volume {direction}",
    "stop the {timer}",
    "open the {opening} of the {room}",
    "close the {opening} in the {room}",
    "add {food} and {food} to the shopping list",
    "add {food} to my list",
    "order {count} bottles of {drink}",
    "what time is it in {city}",
    "book a table for {people} at {clock}",
    "read the news of {day}",
)
SLOTS = {
    "switch": "on|off",
    "room": "kitchen|bedroom|bathroom|living room|garage|garden|hall|office|cellar|attic",
    "device": "light|lights|heating|radio|fan|lamp|television|speaker",
    "percent": "ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety",
    "degrees": "sixteen|seventeen|eighteen|nineteen|twenty|twenty one|twenty two|twenty three|twenty four",
    "article": "a|the",
    "timer": "timer|alarm|clock",
    "count": "two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty",
    "unit": "seconds|minutes|hours",
    "clock": "five|six|seven|eight|nine|ten|half past five|half past six|half past seven|six thirty|seven fifteen|noon",
    "day": "today|tomorrow|tonight|on monday|on tuesday|on wednesday|on thursday|on friday|on saturday|on sunday",
    "errand": "water the plants|buy milk|feed the cat|pay the rent|call the doctor|clean the windows|wash the car|bake a cake",
    "person": "anna|peter|maria|robert|my mother|my brother|doctor brown|the plumber|susan|thomas|my neighbour",
    "phone": "home|work|mobile",
    "city": "london|paris|berlin|madrid|rome|vienna|dublin|oslo|boston|toronto|cairo|sydney",
    "place": "station|airport|hospital|bakery|library|museum|bank|pharmacy|market|hotel",
    "music": "jazz|rock music|classical music|a piano song|the next song|folk music|my favourite album",
    "direction": "up|down|up a little|down a little",
    "opening": "door|window|blinds|curtains",
    "food": "bread|butter|eggs|milk|cheese|apples|tomatoes|rice|pasta|sugar|coffee|oranges|potatoes",
    "drink": "water|juice|milk|lemonade|wine",
    "people": "two|three|four|five|six",
}
SLOT = re.compile(r"\{(\w+)\}")


def digit_string(random: Random) -> str:
    """Two to seven digits, as words."""
    return " ".join(random.choice(DIGITS) for _ in range(random.randint(SHORTEST, LONGEST)))


def command(random: Random) -> str:
    """A sentence of the grammar."""
    return SLOT.sub(lambda slot: random.choice(SLOTS[slot[1]].split("|")), random.choice(COMMANDS))


def sentence(random: Random) -> str:
    """Half of them digits."""
    return digit_string(random) if random.random() < 0.5 else command(random)
