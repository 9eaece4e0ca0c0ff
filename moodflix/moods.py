"""The words for moods and tones, and their synonyms in English and Korean."""

from __future__ import annotations

from typing import Final

NEUTRAL: Final = "neutral"

MOODS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", NEUTRAL)

# What people type, and what earlier front-ends sent, in words the recommenders know.
_MOOD_SYNONYMS: Final[dict[str, str]] = {
    synonym: mood
    for mood, synonyms in {
        "angry": "anger annoyed furious mad irritated frustrated rage resentful outraged cross "
        "화나 화가 화난 화났 짜증 분노 열받",
        "disgust": "disgusted fed-up sick cynical bitter jaded revolted contempt "
        "역겨 역겹 혐오 질려 질렸 질린 지긋",
        "fear": "afraid anxious anxiety worried scared nervous stressed stress tense panic uneasy "
        "frightened overwhelmed insecure 불안 무서 무섭 두려 두렵 걱정 긴장 스트레스",
        "happy": "happiness joy joyful glad cheerful delighted great good wonderful excited elated "
        "content playful grateful proud fun relaxed "
        "행복 기뻐 기뻤 기쁘 기쁜 기쁨 즐거 즐겁 신나 신난 신났 좋아 기분좋",
        "sad": "sadness unhappy down blue depressed lonely melancholy melancholic nostalgic "
        "heartbroken grieving gloomy miserable homesick crying hurt disappointed bored "
        "슬퍼 슬펐 슬프 슬픈 슬픔 우울 외로 외롭 그리워 그립 눈물 속상 심심",
        "surprise": "surprised amazed astonished curious stunned shocked startled wonder inspired "
        "놀라 놀란 놀람 놀랍 놀랐 궁금 신기 충격",
        "neutral": "calm fine okay ok normal so-so tired sleepy peaceful quiet serious "
        "평온 보통 그냥 피곤 무난 괜찮",
    }.items()
    for synonym in synonyms.split()
}

TONES: Final = ("excited", "subdued", NEUTRAL, "happy", "angry", "sad")

_TONE_SYNONYMS: Final[dict[str, str]] = {
    synonym: tone
    for tone, synonyms in {
        "excited": "energetic lively loud fast high eager surprise surprised 들뜬 활기",
        "subdued": "calm quiet soft slow low tired flat gentle whisper fear fearful 차분 조용",
        "happy": "cheerful joyful bright warm laughing 밝은",
        "angry": "harsh annoyed shouting irritated disgust 화난",
        "sad": "crying trembling weak broken 슬픈 우울",
        "neutral": "normal plain serious 보통",
    }.items()
    for synonym in synonyms.split()
}


def _lookup(label: str | None, known: tuple[str, ...], synonyms: dict[str, str]) -> str | None:
    if label is None:
        return None
    word = label.strip().casefold()
    if word in known:
        return word
    if word in synonyms:
        return synonyms[word]
    # Korean endings follow the stem: 우울해요 is 우울.
    return next(
        (to for stem, to in synonyms.items() if _is_stem(stem) and word.startswith(stem)), None
    )


def _is_stem(synonym: str) -> bool:
    return not synonym.isascii()


def mood(label: str | None) -> str | None:
    """Map a mood word to one of ``MOODS``, or ``None`` when it says nothing to us."""
    return _lookup(label, MOODS, _MOOD_SYNONYMS)


def tone(label: str | None) -> str | None:
    """Map a word for a tone of voice to one of ``TONES``, or ``None``."""
    return _lookup(label, TONES, _TONE_SYNONYMS)
