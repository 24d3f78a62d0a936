"""The emotion of a reply: from the tag the model writes (`EmotionTags`), else from its words."""

from voicecore.mind.emotion.classify import emotion_of
from voicecore.mind.emotion.tag import EmotionTags, Tagged

__all__ = ["EmotionTags", "Tagged", "emotion_of"]
