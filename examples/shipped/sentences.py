# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Which sentences of people describe which action and style, and nothing else: a small grammar.

A sentence is brought into a plain form (`plain_words`), loses its subject and what it says of the style, and what
remains has to be one of the phrases of an action from its first word to its last. A sentence with a further movement,
another direction or a number of times therefore fits no action, unless a phrase says so.
"""

import re
from typing import NamedTuple

from bandai_namco.labels import NORMAL

TYPOS = {
    "foward": "forward", "foreward": "forward", "fowards": "forward", "thier": "their", "there": "their",
    "bothe": "both", "persom": "person", "preson": "person", "perso": "person", "orrson": "person",
    "swingin": "swinging", "strait": "straight", "wavess": "waves", "walkes": "walks", "onthe": "on the",
    "someon": "someone", "tne": "the", "hte": "the", "streight": "straight",
}  # fmt: skip
VERBS = [
    "walk",
    "stroll",
    "run",
    "jog",
    "sprint",
    "dash",
    "step",
    "move",
    "wave",
    "bow",
    "raise",
    "lift",
    "lower",
    "kick",
    "punch",
    "jab",
    "swing",
    "throw",
    "turn",
    "take",
    "make",
    "do",
    "perform",
    "dance",
    "crawl",
    "roll",
    "jump",
    "hop",
    "spin",
    "twirl",
    "sneak",
    "creep",
    "tiptoe",
    "stand",
    "get",
    "bend",
    "lean",
    "put",
    "bring",
    "drop",
    "point",
    "beckon",
    "gesture",
    "shout",
    "yell",
    "call",
    "start",
    "begin",
    "continue",
    "keep",
    "use",
    "appear",
    "seem",
    "look",
    "hold",
    "practice",
    "pace",
    "veer",
    "curve",
    "dribble",
    "wash",
    "flip",
    "box",
    "go",
    "march",
    "balance",
    "pick",
    "extend",
    "return",
    "straighten",
    "rise",
    "sway",
    "back",
    "greet",
    "say",
    "bounce",
    "stop",
    "round",
    "head",
    "push",
    "lay",
    "lie",
    "try",
    "reach",
    "travel",
    "look",
    "act",
    "pretend",
    "imitate",
    "come",
    "proceed",
    "clean",
    "leap",
    "play",
    "sidestep",
    "stride",
    "lurch",
    "slash",
    "wield",
]
IRREGULAR = {
    "ran": "run", "took": "take", "made": "make", "did": "do", "stood": "stand", "got": "get", "bent": "bend",
    "brought": "bring", "threw": "throw", "spun": "spin", "swung": "swing", "went": "go", "began": "begin",
    "held": "hold", "lying": "lie", "laid": "lie", "laying": "lie", "lay": "lie", "lays": "lie", "goes": "go",
    "does": "do", "rose": "rise", "arose": "rise", "kept": "keep", "said": "say", "crept": "creep", "came": "come",
    "tiptoes": "tiptoe", "boxes": "box",
}  # fmt: skip


def _forms(verb: str) -> set[str]:
    stem = verb.removesuffix("e")
    doubled = verb + verb[-1]
    return {verb, f"{verb}s", f"{verb}es", f"{verb}ed", f"{stem}ed", f"{verb}ing", f"{stem}ing", f"{doubled}ing",
            f"{doubled}ed"}  # fmt: skip


_LEMMAS = {form: verb for verb in VERBS for form in _forms(verb)} | IRREGULAR
_PLAIN = (
    (r"[/\-–—]", " "),
    (r"[^a-z0-9 ']", " "),
    (r"\b(?:forwards|foreward)\b", "forward"),
    (r"\bbackwards\b", "backward"),
    (r"\btowards\b", "toward"),
    (r"\btip toe", "tiptoe"),
    (r"\bside step", "sidestep"),
    (r"\b(his|her|its|they're|he's|your|my)\b", "their"),
    (r"\b(?:hello|hi|hey|goodbye|good bye|bye bye|bye)\b", "hello"),
    (r"\b(?:a|an|one) ((?:(?!an?\b|person|m[ae]n|figure)\w+ ){0,3}(?:punch|jab|kick))\b", r"single \1"),
    (r"\b(?:a|an|the|own)\b", " "),
    (r"\b(?:overhead)\b", "over head"),
    (r"\bin place\b|\bon (?:the )?spot\b", "in-place"),
)


def plain_words(sentence: str) -> str:
    """Lower case, without punctuation and articles, verbs in their base form, `their` for every possessive."""
    sentence = sentence.lower()
    for pattern, plain in _PLAIN:
        sentence = re.sub(pattern, plain, sentence)
    words = (TYPOS.get(word, word) for word in sentence.split())
    return " ".join(_LEMMAS.get(word, word) for word in words)


PEOPLE = (
    "person|persons|people|individual|someone|somebody|human|figure|stick figure|character|subject|"
    "sim|toon|being|body|"
    "guy|man|male|gentleman|woman|lady|female|girl|boy|he|she|they|it|dancer|fighter|boxer|robot|"
    "model|actor|user|one"
)
_SUBJECT = re.compile(
    rf"^(?:(?:this|that|said|stick|stand|single|young|old|elderly|happy|angry|sad|tired) )*(?:{PEOPLE})\b"
    r"(?: (?:who|that))?"
)
# What may stand before the verb and says nothing
_OPENING = re.compile(
    r"^(?:is|was|are|be|has|to|appear|seem|start|begin|proceed|continue|and|then|in process of|look like|like|"
    r"look as if|as if|as though|they|he|she|it|just|simply|using|with) (?=\S)"
)
STYLES = (
    # sentence part -> styles whose clips it may describe; the first is what `people.json` counts it as
    (r"(?:very )?(?:casually|calmly|normally|naturally|simply|steadily|leisurely|comfortably)", "normal"),
    (
        r"(?:at|in|with) (?:their )?(?:normal|steady|medium|moderate|regular|average|relaxed|casual|even|natural|"
        r"comfortable|leisurely|calm|constant|consistent) (?:pace|speed|fashion|manner|rate|way|stride|gait|motion)",
        "normal",
    ),
    (r"(?:very |relatively |somewhat )?slow(?:ly)?", "slow"),
    (r"(?:at|in|with) (?:very |relatively )?slow (?:pace|speed|manner|motion|fashion)", "slow"),
    (r"(?:very |pretty )?(?:quick|fast|quickly|briskly|rapidly|swiftly|hurriedly)", "fast"),
    (r"(?:at|in|with) (?:very )?(?:quick|fast|brisk|rapid|high) (?:pace|speed|manner|rate)", "fast"),
    (r"(?:energetically|excitedly|enthusiastically|vigorously|lively|with energy|frantically)", "active"),
    (r"(?:happily|joyfully|cheerfully|merrily|gleefully)", "happy"),
    (r"(?:angrily|aggressively|in anger|furiously|in angry (?:manner|way))", "angry"),
    (r"(?:sadly|dejectedly|glumly|in sad (?:manner|way)|with head down)", "sad"),
    (r"(?:tiredly|wearily|lazily|sluggishly|exhausted|tired)", "exhausted"),
    (r"(?:very )?(?:proudly|confidently|with confidence)", "proud"),
    (r"(?:(?:with|in) swagger|like (?:gangster|thug))", "chimpira"),
    (r"(?:shyly|nervously|timidly|hesitantly|cautiously|without confidence|anxiously)", "not-confident"),
    (r"like (?:they (?:is|are) )?(?:old|elderly)(?: (?:person|man|woman|lady))?", "elderly"),
    (r"(?:like (?:woman|girl|lady)|in (?:feminine|effeminate) (?:way|manner)|femininely)", "feminine"),
    (r"(?:like (?:man)|in (?:masculine|manly) (?:way|manner))", "masculine"),
    (r"(?:like (?:child|kid|little kid)|childishly|in (?:childish) (?:way|manner))", "childish"),
    (r"(?:heavily|with heavy steps|like giant)", "giant"),
    (r"(?:to (?:music|beat)|rhythmically)", "musical"),
)
SUBJECT_STYLES = (
    (r"(?:old|elderly)", "elderly"),
    (r"happy", "happy"),
    (r"angry", "angry"),
    (r"sad", "sad"),
    (r"tired", "exhausted"),
    (r"(?:woman|lady|female|girl|she)", "feminine"),
    (r"(?:man|male|guy|gentleman)", "masculine"),
)
# "A man" is also just anybody, and slow or fast only a matter of some styles.
MALE, SLOW, FAST = "masculine", "slow", "fast"
PLAIN = "plain"  # no word about style

# Fragments of phrases
_AHEAD = (
    r"(?: (?:forward|ahead|straight|onward|(?:in|on|along) (?:one |single )?(?:straight|forward) "
    r"(?:line|path|direction|motion|manner)|"
    r"in (?:one |forward )?(?:line|direction)|down (?:street|road|path|hallway|hall)|along path))*"
)
_ARMS_SWING = (
    r"(?:(?: (?:and|while|with))*(?: gently| slightly)?(?: swing(?: their| both)*(?: arms?)?|"
    r" (?:both )?(?:their )?arms"
    r"(?: (?:swing|sway|move|at (?:their )?sides?|by (?:their )?sides?|down by (?:their )?sides?|"
    r"to (?:their )?sides?))?)"
    r"(?: back and forth| gently| slightly| naturally| freely)*)?"
)
_AND = r"(?: and| then| while| before| as they| as| with)*"
_NUMBER = r"(?:few|couple|couple of|three|four|five|six)"
_SOME = r"(?:few|several|some|multiple)"
_STILL = r"(?:stand(?: still| straight| up| upright| tall| in-place)*(?: and| while| with| then)* )?"
_STILL_AFTER = r"(?: (?:while|as they)? ?(?:stand(?: still| in-place| up| straight)*|in-place|(?:stand )?still))?"
_UP = (
    r"(?: (?:straight|high|all way|up|upward|upwards|up high|in air|into air|in sky|to sky|toward sky|to ceiling|"
    r"(?:above|over) (?:their )?heads?|over them|above them))*"
)
_LOWER = (
    r"(?:(?: and| then| before| them| it)* (?:lower|put|bring|drop|return)(?: (?:it|them|(?:their )"
    r"?(?:right |left |both "
    r")?(?:hands?|arms?)))?(?: back)?(?: down)?(?: again)?(?: to (?:their )?sides?| by (?:their )?sides?)?)?"
)
_GREET = (
    r"(?:(?: hello| in greeting| as (?:if|greeting|though)(?: (?:to|they|is|are))*(?: (?:greet|say))?(?: hello)?"
    r"(?: someone| somebody| to someone)?| "
    r"(?:to|at|for) (?:say )?(?:hello|someone|somebody|person|people|friend|their friend|crowd|greet someone|camera)"
    r"(?: to someone)?| in air| up high| high| above (?:their )?head| over (?:their )?head|"
    r" back and forth| (?:from )?side "
    r"to side| left and right| (?:several|few|multiple|couple|couple of) times| repeatedly| around|"
    r" slightly| gently| "
    r"in front of them| in-place))*(?:(?: and| then)* (?:stop|lower(?: (?:it|them|hand|arm|(?:their )"
    r"?(?:hands?|arms?)))(?: down)?))?"
)
_LEGS = r"(?:foot|leg)"


def _hand(side: str) -> str:
    return rf"(?:with |using |use )?(?:their |with their |using their )?{side} (?:hand|arm)"


BOTH = (
    r"(?:with |using |use )?(?:both (?:of )?(?:their )?(?:hands|arms)|their (?:both )?(?:hands|arms)|"
    r"(?:two )?(?:hands|arms))"
)


def _wave(hand: str) -> tuple[str, ...]:
    return (
        rf"{_STILL}wave(?: up)? {hand}{_GREET}{_STILL_AFTER}",
        rf"{_STILL}wave{_GREET} {hand}{_GREET}{_STILL_AFTER}",
        rf"{_STILL}{hand} (?:to )?wave{_GREET}{_STILL_AFTER}",
        rf"{_STILL}(?:raise|lift|put|hold) {hand}{_UP}(?: and| then| to)* wave(?: it| them| (?:their )?(?:both )?"
        rf"(?:hands?|arms?)| {hand})?{_GREET}{_LOWER}",
        rf"{_STILL}(?:do|make|perform) (?:wave|waving)(?: motion| gesture)? {hand}{_GREET}",
    )


def _raise(hand: str) -> tuple[str, ...]:
    return (
        rf"{_STILL}(?:raise|lift) {hand}{_UP}{_LOWER}{_STILL_AFTER}",
        rf"{_STILL}(?:raise|lift)(?: up)? {hand}{_UP}{_LOWER}{_STILL_AFTER}",
        rf"{_STILL}(?:put|hold|extend|reach) {hand} (?:straight )?(?:up|upward|in air|above (?:their )"
        rf"?head|over (?:their )?head)"
        rf"{_UP}{_LOWER}{_STILL_AFTER}",
        rf"{_STILL}(?:raise|lift) and lower {hand}{_STILL_AFTER}",
        rf"{hand} (?:is|are|be) raise{_UP}",
        rf"{hand} (?:raise|lift){_UP}{_LOWER}",
    )


def _turning(side: str) -> tuple[str, ...]:
    to = rf"(?:(?:to|toward|on) )?(?:their )?{side}(?: side| hand side)?"
    on = (
        r"(?: (?:and|then|while|before|to|continue|keep|walk|move|go|off|straight|forward|ahead|away|"
        r"in that direction))*"
    )
    turn = (
        rf"(?:turn (?:90 degrees )?{to}|(?:make|take) (?:(?:sharp|90 degree|quarter|hard) )"
        rf"*(?:{side} turn|turn {to}|{side}))"
    )
    return (
        rf"(?:walk|step|move|go){_AHEAD}{_AND} {turn}(?: 90 degrees)?{on}{_AHEAD}",
        rf"{turn}{_AND} walk{_AHEAD}{on}",
        rf"turn {side}",
        rf"(?:walk|move){_AHEAD}{_AND} (?:curve|round|bend)(?: around)? {to}",
        rf"(?:walk|move){_AHEAD}(?: (?:in|on|along))* (?:path|line) that (?:curve|bend|turn) {to}",
        rf"walk{_AHEAD} in curve(?:d)?(?: (?:path|line|motion|way))? {to}",
        rf"walk{_AHEAD} and (?:{to} )?around corner {to}",
    )


def _diagonal(side: str) -> tuple[str, ...]:
    to = rf"(?:(?:to|toward) )?(?:their )?{side}(?: side| hand side)?"
    return (
        rf"(?:walk|step|move){_AHEAD} (?:diagonally|at angle|on diagonal|in diagonal(?: line| path|"
        rf" direction)?)(?: and)?"
        rf"(?: forward)? {to}",
        rf"(?:walk|step|move) (?:diagonally|slightly){_AHEAD}(?: and)? {to}",
        rf"walk{_AHEAD}(?: and| but| while)? (?:slightly |slight |little )?(?:veer|angle|drift|bear|head)"
        rf"(?:ing)?(?: slightly| off)* {to}",
        rf"(?:walk|move)(?: forward){_AHEAD}(?: and)?(?: slightly| little)* {to}(?: slightly)?",
        rf"(?:walk|sidestep|move) {to}",
        rf"sidestep (?:to )?{to}",
        rf"take {_SOME} (?:sidestep|step) {to}",
        rf"walk to side {to}",
    )


_PUNCH_TAIL = (
    r"(?:(?: forward| out| in air| air| into air| at air| something| someone| somebody|"
    r" in front(?: of (?:them|him|her|"
    r"self))?| outward| ahead| imaginary (?:person|opponent|target)| at (?:something|someone)| straight| hard| "
    r"punching bag| bag| opponent| standing up| up))*"
)
_PUNCH = r"(?:(?:quick|hard|forward|big|short|straight|strong) )*"
_OFTEN = (
    r"(?: (?:several|multiple|many|few|couple|couple of)(?: times)?| repeatedly| again and again|"
    r" in sequence| in combination)*"
)


class Phrases(NamedTuple):
    """Phrases of one action; `details` (see `labels.py`) are what a clip must show besides for them."""

    action: str
    phrases: tuple[str, ...]
    details: frozenset[str] = frozenset()


def _phrases(action: str, *phrases: str, details: tuple[str, ...] = ()) -> Phrases:
    return Phrases(action, phrases, frozenset(details))


_KICK = r"(?:(?:high|big|karate|hard|strong|large|powerful|standing|martial arts?) )*"
_KICK_TAIL = r"(?: (?:forward|out|up|high|in air|air|something|hard|outward|in front|in front of (?:them|him)))*"
_ROUND = (
    r"(?:(?:ground|floor|hands and knees|all fours|all 4s|hands|hand and knees|their hands and knees|knees|fours))"
)

PHRASES = (
    _phrases(
        "walk",
        rf"(?:walk|stroll|stride){_AHEAD}{_ARMS_SWING}",
        rf"(?:walk|stroll){_ARMS_SWING}{_AHEAD}",
        rf"(?:take|make) (?:several|some|multiple|many) (?:step|stride){_AHEAD}",
        rf"(?:walk|step){_AHEAD} (?:several|some|multiple) (?:step|pace){_AHEAD}",
        rf"(?:move|go) forward{_AHEAD}",
        rf"(?:take|go for|do) (?:normal |regular |forward )*walk{_AHEAD}",
        r"walk across (?:room|floor|area)",
    ),
    _phrases(
        "walk",
        rf"take {_NUMBER} (?:step|pace|stride){_AHEAD}",
        rf"(?:walk|step){_AHEAD} {_NUMBER} (?:step|pace){_AHEAD}",
        rf"step forward {_NUMBER} times",
        details=("short",),
    ),
    *(
        _phrases(
            gait,
            rf"{gait}{_AHEAD}{_ARMS_SWING}",
            rf"(?:do|go for|take|go out for) (?:(?:light|little|slow|quick|short) )*{gait}{_AHEAD}",
            rf"{gait} lightly{_AHEAD}",
            rf"(?:light|slight) {gait}{_AHEAD}",
            rf"take (?:{_SOME} )?{gait} step{_AHEAD}",
            rf"{gait}{_AHEAD} {_SOME} (?:step|pace|stride){_AHEAD}",
        )
        for gait in ("run", "jog")
    ),
    _phrases("dash", rf"(?:sprint|dash)(?: off)?{_AHEAD}{_ARMS_SWING}"),
    _phrases("walk-turn-left", *_turning("left")),
    _phrases("walk-turn-right", *_turning("right")),
    _phrases("walk-left", *_diagonal("left")),
    _phrases("walk-right", *_diagonal("right")),
    _phrases(
        "walk-back",
        rf"(?:walk|step|move|pace|stride)(?: straight)? backward(?: (?:in|on) straight (?:line|path))?{_ARMS_SWING}",
        r"(?:walk|step|move|go) (?:in )?(?:straight )?back(?:ward)? (?:direction|motion|line)",
        r"walk in (?:straight )?backward (?:direction|motion|line)",
        rf"take {_SOME} (?:step|stride) back(?:ward)?",
        rf"(?:walk|step|move|back) back(?:ward)? {_SOME} (?:step|pace|times)",
        r"(?:walk|step|move) straight back",
        r"(?:back) (?:up|away)",
        r"(?:walk|step) (?:away )?in reverse",
        r"walk in straight line backward",
    ),
    _phrases(
        "bow",
        rf"{_STILL}(?:slightly )?(?:bow|bend over and bow|bend forward and bow|lean forward and bow|"
        rf"bend down and bow)(?: down)?(?: over)?"
        rf"(?: forward| slightly| deeply| down| politely| respectfully| briefly| over| their (?:upper )"
        rf"?(?:body|head)| bend at (?:torso|waist|hips)| very| while look forward|"
        rf" (?:at|from|to) (?:their |waist|hips?)*(?:waist|hips?)?| once| before someone| (?:to|at|for)"
        rf" (?:someone|somebody|"
        rf"camera|audience|crowd|person|other person)| in respect| in greeting| as (?:if )?greet(?: someone)?)*"
        rf"(?:(?: and| then)* (?:rise|stand|straighten|come|return)(?: back)?(?: up| upright| straight)*)?",
        r"(?:take|do|make|perform|give) (?:(?:slight|formal|deep|small|polite|respectful|short|little|big) )*"
        r"bow(?: forward| down| to someone| motion| to audience)*",
        r"(?:do|make|perform) bow (?:motion|gesture)",
        r"bend forward in bow motion",
        r"bend (?:forward )?(?:at|from) (?:their )?waist (?:in|as if|to|like)(?: to)? bow",
        r"greet(?: (?:other|another|someone))?(?: person)? (?:with|by) bow",
        r"lean forward (?:appear|as if|like)(?: to be| to| they)* bow",
    ),
    _phrases("wave-left-hand", *_wave(_hand("left"))),
    _phrases("wave-right-hand", *_wave(_hand("right"))),
    _phrases("wave-both-hands", *_wave(BOTH)),
    _phrases(
        "wave-one-hand",
        rf"{_STILL}wave(?: (?:with )?(?:one |one of )?(?:their )?(?:hand|arm))?{_GREET}{_STILL_AFTER}",
        rf"{_STILL}(?:raise|lift|put) (?:one |one of )?(?:their )?(?:hand|arm){_UP}(?: and| then| to)"
        rf"* wave(?: it)?{_GREET}",
        rf"{_STILL}(?:do|make|perform) wave(?: motion| gesture)?{_GREET}",
        r"wave (?:their )?hand (?:to|and) say hello",
    ),
    _phrases("raise-up-left-hand", *_raise(_hand("left")), *_raise("(?:one |one of )?(?:their )?(?:hand|arm)")),
    _phrases("raise-up-right-hand", *_raise(_hand("right")), *_raise("(?:one |one of )?(?:their )?(?:hand|arm)")),
    _phrases("raise-up-both-hands", *_raise(BOTH)),
    _phrases(
        "kick",
        rf"kick{_KICK_TAIL}",
        rf"kick{_KICK_TAIL} (?:with |using |use )*(?:their )?right {_LEGS}{_KICK_TAIL}",
        rf"use (?:their )?right {_LEGS} to kick{_KICK_TAIL}",
        rf"kick (?:their )?right {_LEGS}{_KICK_TAIL}",
    ),
    _phrases(
        "kick",
        rf"(?:do|perform|throw|make|practice) single {_KICK}kick(?: motion)?{_KICK_TAIL}"
        rf"(?: (?:with |using )(?:their )?right {_LEGS})?",
        rf"(?:do|perform|throw) single {_KICK}right (?:leg |foot )?kick{_KICK_TAIL}",
        details=("once",),
    ),
    _phrases(
        "kick",
        rf"(?:kick|throw kick|do kick|perform kick){_KICK_TAIL}{_OFTEN}",
        r"(?:do|throw|perform|practice) (?:karate |several |multiple |some |few |combination of |many )+kick",
        details=("often",),
    ),
    _phrases(
        "spin-kick",
        r"(?:do|perform|throw|jump and do) (?:(?:single|jump|high|spin|roundhouse|round house|flying) )"
        r"+kicks?(?: in air)?",
        r"(?:jump and )?spin kicks?",
        r"(?:jump )?spin (?:around )?and kick(?: in air)?",
    ),
    _phrases("punch", rf"(?:punch|jab|box){_PUNCH_TAIL}", r"shadow ?box"),
    *(
        _phrases(
            "punch",
            rf"(?:punch|jab){_PUNCH_TAIL} (?:with |using |use )*(?:their )?{side} (?:hand|arm|fist){_PUNCH_TAIL}",
            rf"(?:throw|do) (?:punch|jab){_PUNCH_TAIL} (?:with |using |use )*(?:their )?{side} (?:hand|arm|fist)",
            rf"use (?:their )?{side} (?:hand|arm|fist) to punch{_PUNCH_TAIL}",
            rf"punch (?:their )?{side} (?:hand|arm|fist){_PUNCH_TAIL}",
            details=(side,),
        )
        for side in ("left", "right")
    ),
    *(
        _phrases(
            "punch",
            rf"(?:throw|do|make|perform) single {_PUNCH}(?:punch|jab)(?: motion)?{_PUNCH_TAIL}"
            rf" (?:with |using )*(?:their )?{side} (?:hand|arm|fist)",
            rf"(?:throw|do) single {_PUNCH}{side} (?:hand |handed |arm )?(?:punch|jab){_PUNCH_TAIL}",
            details=(side, "once"),
        )
        for side in ("left", "right")
    ),
    _phrases(
        "punch",
        rf"(?:throw|do|make|perform) single {_PUNCH}(?:punch|jab)(?: motion)?{_PUNCH_TAIL}",
        details=("once",),
    ),
    *(
        _phrases(
            "punch",
            rf"(?:punch|jab){_PUNCH_TAIL} (?:with |using |use )*(?:their )?{side} (?:hand|arm|fist)"
            rf"{_PUNCH_TAIL}{_OFTEN}",
            details=(side, "often"),
        )
        for side in ("left", "right")
    ),
    _phrases(
        "punch",
        rf"(?:punch|jab|box){_PUNCH_TAIL}{_OFTEN}",
        rf"(?:throw|do|practice) (?:several |multiple |some |few |jab |many |combination of )*(?:punch|"
        rf"jab){_PUNCH_TAIL}"
        rf"{_OFTEN}",
        r"(?:do|practice) box(?: moves| move| technique| techniques| punch)?",
        details=("often",),
    ),
    _phrases(
        "slash",
        r"(?:swing|use|wield|slash|fight|practice|play)(?: with| around| using)* (?:their )?(?:sword|katana)"
        r"(?: around| in air| with both hands)?",
        r"(?:do|practice) sword (?:fight|fighting|play|moves)",
    ),
    _phrases(
        "call",
        r"(?:shout|yell|call)(?: out)?(?: for| to)? (?:someone|somebody|their cat|their friend|friend)",
        r"(?:shout|yell)(?: something)? out(?: for someone| something)?",
        r"(?:shout|yell) with hands (?:to|around|at) (?:face|mouth|their face|their mouth)",
        r"beckon (?:for )?someone(?: to come(?: here| over)?)?",
    ),
    _phrases(
        "guide",
        r"(?:use (?:their )?right (?:hand|arm) to )point(?: forward)?",
        r"point(?: forward| toward someone)?(?: with (?:their )?right (?:hand|arm))?",
    ),
    _phrases(
        "dance-short",
        r"dance(?: around| in-place| about| freely| moves?)*(?: in-place| room)*",
        r"(?:do|perform|practice)(?: (?:some|short|little|quick|several|small|type of|kind of|sort of))*"
        r" (?:dance|dances|dancing)(?: moves?| routine| steps?| movements?| motion)?(?: in-place)?",
    ),
    _phrases(
        "ballet",
        r"(?:do|perform|practice|dance|imitate) (?:(?:quick|graceful|some) )*ballet(?: (?:dance|moves?|"
        r"routine|dancing|poses?|steps?|movements?|leaps?|twirls?))*",
        r"dance(?: (?:around|elegantly|gracefully))? (?:like|as) (?:ballerina|ballet dancer)",
        r"(?:dance|do|perform) ballet",
        r"ballet dance(?: forward)?",
        r"(?:do|perform) (?:ballerina|ballet) (?:dance|moves)(?: forward)?",
    ),
    _phrases(
        "dance-spin",
        r"(?:dance and (?:spin|twirl)|spin and dance|(?:spin|twirl) while dance|dance while (?:spin|"
        r"twirl))(?: around)?",
    ),
    _phrases(
        "crawl",
        rf"crawl(?: (?:around )?(?:on|along|across|over) (?:their )?{_ROUND}(?: and knees)?| forward|"
        rf" around| straight| ahead| in straight line)*",
    ),
    _phrases(
        "cartwheel",
        r"(?:do|perform|turn|make|execute)(?: single| one| perfect)? (?:cartwheel|cart wheel)"
        r"s?(?: to (?:their )?side)?",
        r"(?:cartwheel|cartwheels|cartwheeling)",
    ),
    _phrases(
        "backflip", r"(?:do|perform|make) (?:back flip|backflip|backward flip)s?", r"flip backward", r"back ?flips?"
    ),
    _phrases(
        "roll",
        r"(?:do|perform) (?:forward |front )?(?:roll|somersault|summersault)(?: forward)?(?: on (?:ground|floor))?",
        r"roll forward(?: on (?:ground|floor))?",
        r"roll (?:on|over|across|along) (?:ground|floor)",
        r"(?:somersault|somersaults)",
    ),
    _phrases(
        "get-up",
        r"(?:get|stand|rise) up (?:off|from) (?:of )?(?:floor|ground)",
        r"(?:get|stand|rise) up from lie(?: down)?(?: on (?:floor|ground))?",
        r"lie (?:down |on floor |on ground )?(?:and |then )*(?:get|stand) up",
        r"on floor get up",
    ),
    _phrases(
        "get-up",
        r"(?:get|stand) up from (?:lie )?(?:down )?(?:prone|on (?:their )?(?:stomach|belly|front))",
        r"lie (?:down )?(?:on (?:their )?(?:stomach|face|belly)|face down)(?: and| then)* (?:get|stand) up",
        details=("face-down",),
    ),
    _phrases(
        "get-up",
        r"(?:get|stand) up from (?:lie )?(?:down )?on (?:their )?back",
        r"lie (?:down )?(?:on (?:their )?back|face up)(?: and| then)* (?:get|stand) up",
        details=("face-up",),
    ),
    _phrases("jump", r"jump", r"(?:do|make|perform|take) (?:(?:big|small|single) )?jump"),
    _phrases(
        "jump",
        r"(?:jump|leap|hop)(?: far)? forward(?: with both feet)?",
        r"(?:do|take|make) (?:big |small )?(?:jump|leap) forward",
        details=("forward",),
    ),
    _phrases("jump", r"jump(?: straight)? up(?: in air| into air)?", r"jump (?:into|in) air", details=("up",)),
    _phrases(
        "jump-spin",
        r"jump(?: up)?(?: and| while| with)* (?:spin|twirl)(?: around)?(?: in air)?",
        r"spin (?:around )?in (?:mid )?air",
        r"(?:do|perform) jump (?:spin|twirl)",
        r"spin while jump",
    ),
    _phrases(
        "sneak",
        r"(?:sneak|creep|sneakily walk|walk sneakily|walk stealthily|stealthily walk)(?: around| forward|"
        r" ahead| along)*",
        r"(?:do|perform) sneaky walk(?: forward)?",
        r"(?:sneak|creep) (?:forward )?(?:down hall|around room|through room|forward quietly)",
        r"walk forward like stealth",
        r"(?:slightly )?crouch and (?:sneak|creep) forward",
    ),
    _phrases(
        "zombie-walk",
        r"walk(?: around| forward| ahead)* (?:like|as(?: if)?) zombie",
        r"zombie walk(?: forward)?",
        r"(?:raise their arms and )?zombie walk forward",
        r"(?:act|move|shuffle)(?: forward)? like zombie",
    ),
    _phrases(
        "hop-forward-and-back",
        r"(?:jump|hop) forward(?: several times| few times| three times| four times)*(?: and| then)"
        r"* turn(?: around)?(?: and| then)* (?:jump|hop) back",
    ),
    _phrases(
        "dribble",
        r"(?:walk(?: forward| around)*(?: and| while)* )?(?:dribble|bounce)(?: imaginary)? (?:basketball|"
        r"ball)(?: while walk| and walk)?"
        r"(?: forward| around)*(?: with (?:their )?right hand)?",
        r"(?:walk )?(?:forward )?while (?:dribble|bounce) (?:basketball|ball)",
    ),
    _phrases(
        "dribble-left",
        r"(?:dribble|bounce) (?:basketball|ball) (?:sideways|to (?:their )?left|(?:while )?(?:walk|move|"
        r"shuffle) (?:sideways|to (?:their )?left))+",
    ),
    _phrases(
        "wash",
        r"wash(?: off| up)?(?: (?:their )?(?:self|themselves|himself|body|arms?|legs?|whole body|"
        r"arms? and legs?))*(?: off)?",
        r"take shower",
        r"(?:bathe|shower)",
    ),
    _phrases(
        "pick-up-and-raise",
        r"(?:bend (?:down|over)(?: and| to)* )?pick (?:something|object|item|things?)(?: up)"
        r"?(?: off (?:ground|floor))?(?: and| then)* "
        r"(?:raise|lift|put|hold|place) (?:it )?(?:up )?(?:above|over|high|up)(?: (?:their )?head| high)?",
    ),
    _phrases(
        "balance-on-one-leg",
        r"(?:stand|balance)(?: balance| still)? on (?:one|their one|one of their) (?:leg|foot)"
        r"s?(?: in-place)?(?: and balance)?",
        r"(?:stand|balance) on (?:their )?right (?:leg|foot)(?: and)? then (?:on )?(?:their )"
        r"?left(?: leg| foot)?",
    ),
)


class Meaning(NamedTuple):
    """What a sentence says: an action, `details`, and the styles of clips that it may belong to."""

    action: str
    details: frozenset[str]
    style: str


_PATTERNS = [(group, [re.compile(phrase) for phrase in group.phrases]) for group in PHRASES]


def meanings(sentence: str) -> list[Meaning]:
    """What a sentence says, if it says nothing but one action and at most one style; else an empty list.

    Several meanings mean that the sentence describes clips of several kinds (`raises an arm`).
    """
    words = plain_words(sentence)
    found = {style for words_, style in _subject_styles(words)}
    words = _SUBJECT.sub("", words).strip()
    for pattern, style in STYLES:
        shorter = re.sub(rf"(?:(?: ?\b(?:and|but))? ?\b){pattern}\b", " ", words)
        if shorter != words:
            found.add(style)
            words = " ".join(shorter.split())
    while (shorter := _OPENING.sub("", words)) != words:
        words = shorter.strip()
    words = " ".join(words.split()).removesuffix(" and").strip()
    if len(found - {MALE, NORMAL}) > 1:
        return []
    style = next((style for style in (*sorted(found - {MALE, NORMAL}), MALE, NORMAL) if style in found), PLAIN)
    return [
        Meaning(group.action, group.details, style)
        for group, patterns in _PATTERNS
        if any(pattern.fullmatch(words) for pattern in patterns)
    ]


def _subject_styles(words: str):
    subject = _SUBJECT.match(words)
    for pattern, style in SUBJECT_STYLES:
        if subject and re.search(rf"\b{pattern}\b", subject.group()):
            yield pattern, style
