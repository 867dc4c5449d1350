"""A stand-in of Anthropic's servers: with it the real Claude binary logs in, chats and uses tools offline.

``standin.Anthropic`` is what tests hold; ``script`` is what a prompt may say; ``server`` is what answers.
Nothing is imported here: ``server`` and ``script`` also run in a container that has Python and nothing else.
"""
