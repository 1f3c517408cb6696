from bot.breaker import FAILURES, PROBE_MS, Breaker


def broken(pause_ms=1000):
    breaker = Breaker(lambda attempts: pause_ms)
    for _ in range(FAILURES):
        breaker.failed("channel", 0)
    return breaker


def test_a_channel_that_fails_now_and_then_is_not_left_alone():
    breaker = Breaker(lambda attempts: 1000)
    for _ in range(10):
        breaker.failed("channel", 0)
        breaker.failed("channel", 0)
        breaker.succeeded("channel")
    assert breaker.wait_ms("channel", 0) == 0


def test_a_channel_that_fails_again_and_again_is_left_alone_and_no_other():
    breaker = broken()
    assert (breaker.wait_ms("channel", 400), breaker.wait_ms("another", 400)) == (600, 0)


def test_after_the_rest_one_may_try_and_others_wait_for_how_it_goes():
    breaker = broken()
    assert [breaker.wait_ms("channel", 1000) for _ in range(3)] == [0, PROBE_MS, PROBE_MS]
    breaker.succeeded("channel")
    assert breaker.wait_ms("channel", 1001) == 0


def test_a_clock_that_was_put_back_makes_nobody_wait_for_it():
    breaker = broken()
    assert breaker.wait_ms("channel", -86_400_000) == 0
