from screening import tokenise


def test_words_have_their_places_and_no_gaps():
    text = "您的滚筒洗衣机明天送到"
    words = tokenise.words(text)
    assert "".join(w.text for w in words) == text
    assert all(text[w.start : w.end] == w.text for w in words)


def test_whole_words():
    text = "滚筒洗衣机"
    assert not tokenise.is_whole(text, 0, 1)
    assert tokenise.is_whole("你滚", 1, 2)


def test_frequency_of_unknown_words_is_zero():
    assert tokenise.frequency("洗衣机") > 0
    assert tokenise.frequency("没有这样的词啊") == 0
