from hypothesis import given
from hypothesis import strategies as st

from lexicons.schema import After
from screening.detect.locate import Layout

ROLES = st.lists(st.sampled_from(["agent", "customer", "system", "bot"]), max_size=6)


@given(st.lists(ROLES, min_size=1, max_size=4), st.integers(1, 3))
def test_what_was_said_before_a_turn_stays_in_its_conversation(conversations, turns):
    roles = [role for conversation in conversations for role in conversation]
    firsts = [sum(map(len, conversations[:k])) for k in range(len(conversations))]
    order = sorted(range(len(roles)), key=lambda turn: roles[turn])
    layout = Layout(roles, order, firsts)
    after = After(pattern="x", speaker="customer", turns=turns)
    for number, (first, conversation) in enumerate(zip(firsts, conversations, strict=True)):
        for i in range(len(conversation)):
            place = layout.places[first + i]
            assert layout.at(place) == (number, i)
            said = [j for j in range(i) if conversation[j] == "customer"][-turns:]
            assert layout.before(place, after) == [layout.places[first + j] for j in reversed(said)]
