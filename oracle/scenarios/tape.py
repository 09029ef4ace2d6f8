"""GradientTape: what is recorded, what is answered, and what is refused."""

from oracle.scenario import scenario


@scenario
def gradient_of_a_product(xp):
    x, y = xp.constant(3.0), xp.constant(4.0)
    with xp.GradientTape() as tape:
        tape.watch([x, y])
        z = x * y + x
    yield "gradient", tape.gradient(z, [x, y])


@scenario
def gradient_in_the_nest_of_the_sources(xp):
    x, y, z = xp.constant(3.0), xp.constant(4.0), xp.constant(5.0)
    with xp.GradientTape(persistent=True) as tape:
        for source in (x, y, z):
            tape.watch(source)
        w = x * y * z
    yield "dict", tape.gradient(w, {"a": x, "b": [y, z]})
    yield "tuple", tape.gradient(w, (x, (y, z)))
    yield "list", tape.gradient(w, [x])
    yield "empty", tape.gradient(w, [])


@scenario
def gradient_of_a_nest_of_targets_is_that_of_their_sum(xp):
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a, b = x * x, 3.0 * x
    yield "list", tape.gradient([a, b], x)
    yield "dict", tape.gradient({"a": a, "b": b}, x)
    yield "twice", tape.gradient([a, a], x)
    yield "with itself", tape.gradient([a, x], x)


@scenario
def a_tape_is_asked_once_unless_persistent(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    yield "first", tape.gradient(y, x)
    yield "second", lambda: tape.gradient(y, x)


@scenario
def a_persistent_tape_is_asked_again(xp):
    x = xp.constant(3.0)
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    yield "z by x", tape.gradient(z, x)
    yield "y by x", tape.gradient(y, x)
    yield "z by y", tape.gradient(z, y)


@scenario
def a_constant_is_not_watched(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        y = x * x
    yield "gradient", tape.gradient(y, x)


@scenario
def watching_comes_before_use(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        y = x * x
        tape.watch(x)
        z = x * 2.0 + y
    yield "gradient", tape.gradient(z, x)


@scenario
def a_tensor_made_of_a_watched_one_is_a_source(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    yield "gradient", tape.gradient(z, y)


@scenario
def the_target_itself_as_source(xp):
    x = xp.constant([3.0, 4.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
    yield "gradient", tape.gradient(x, x)


@scenario
def the_target_not_watched_as_source(xp):
    x = xp.constant([3.0, 4.0])
    with xp.GradientTape() as tape:
        pass
    yield "gradient", tape.gradient(x, x)


@scenario
def variables_are_watched_by_themselves(xp):
    v = xp.Variable([1.0, 2.0])
    with xp.GradientTape() as tape:
        y = xp.sum(v * v)
    yield "watched", len(tape.watched_variables())
    yield "gradient", tape.gradient(y, v)


@scenario
def a_variable_that_is_not_trainable_is_not(xp):
    v = xp.Variable(2.0, trainable=False)
    with xp.GradientTape() as tape:
        y = v * v
    yield "watched", len(tape.watched_variables())
    yield "gradient", tape.gradient(y, v)


@scenario
def variables_watched_only_by_hand(xp):
    v, w = xp.Variable(2.0), xp.Variable(5.0)
    with xp.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(v)
        y = v * w
    yield "watched", len(tape.watched_variables())
    yield "gradient", tape.gradient(y, [v, w])


@scenario
def a_variable_read_twice_with_an_assignment_between(xp):
    v = xp.Variable(3.0)
    with xp.GradientTape() as tape:
        y = v * v
        v.assign(5.0)
        z = y + v * 2.0
    yield "value", z
    yield "gradient", tape.gradient(z, v)


@scenario
def an_assignment_cuts_the_path(xp):
    x, v = xp.constant(3.0), xp.Variable(0.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        v.assign(x * x)
        y = v * 2.0
    yield "gradient", tape.gradient(y, [x, v])


@scenario
def unconnected_gradients_as_zero(xp):
    x, y = xp.constant([1.0, 2.0]), xp.constant([[3.0]])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        z = xp.sum(x)
    zero = xp.UnconnectedGradients.ZERO
    yield "none", tape.gradient(z, [x, y])
    yield "zero", tape.gradient(z, [x, y], unconnected_gradients=zero)
    yield "zero, by name", tape.gradient(z, y, unconnected_gradients="zero")
    yield "another word", lambda: tape.gradient(z, y, unconnected_gradients="nought")


@scenario
def unconnected_variable_as_zero(xp):
    v, w = xp.Variable([1.0, 2.0]), xp.Variable([[1.0], [1.0]])
    with xp.GradientTape() as tape:
        y = xp.sum(v)
    zero = xp.UnconnectedGradients.ZERO
    yield "zero", tape.gradient(y, [v, w], unconnected_gradients=zero)


@scenario
def output_gradients(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = x * 3.0
    g = xp.constant([1.0, 10.0, 100.0])
    yield "one", tape.gradient(y, x, output_gradients=g)
    yield "several", tape.gradient([y, z], x, output_gradients=[g, g])
    yield "too few", lambda: tape.gradient([y, z], x, output_gradients=[g])


@scenario
def one_output_gradient_of_two(xp):
    x = xp.constant([1.0, 2.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y, z = x * x, x * 3.0
    g = xp.constant([10.0, 100.0])
    yield "gradient", lambda: tape.gradient([y, z], x, output_gradients=[None, g])


@scenario
def an_output_gradient_of_another_shape(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.exp(x) * 0.0 + x
    yield "gradient", lambda: tape.gradient(y, x, output_gradients=xp.constant([1.0, 2.0]))


@scenario
def an_output_gradient_that_would_broadcast(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    yield "gradient", lambda: tape.gradient(y, x, output_gradients=xp.constant(1.0))


@scenario
def integer_sources(xp):
    i = xp.constant([1, 2])
    with xp.GradientTape() as tape:
        y = xp.astype(i, xp.float32) * 2.0
    yield "gradient", tape.gradient(y, i)


@scenario
def watching_an_integer(xp):
    i = xp.constant([1, 2])
    with xp.GradientTape() as tape:
        yield "watch", lambda: tape.watch(i)


@scenario
def an_integer_target(xp):
    x = xp.constant([1.5, 2.5])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.astype(x * 2.0, xp.int32)
    yield "gradient", tape.gradient(y, x)


@scenario
def an_integer_in_the_middle_cuts(xp):
    x = xp.constant([1.5, 2.5])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.astype(xp.astype(x, xp.int32), xp.float32) * x
    yield "gradient", tape.gradient(y, x)


@scenario
def stop_recording(xp):
    x = xp.constant(3.0)
    with xp.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        with tape.stop_recording():
            z = x * 10.0
        w = y + z
    yield "w", tape.gradient(w, x)
    yield "z", tape.gradient(z, x)


@scenario
def reset_forgets_everything(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        tape.reset()
        tape.watch(x)
        z = x * 2.0 + y
    yield "gradient", tape.gradient(z, x)


@scenario
def reset_forgets_what_was_watched(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        tape.reset()
        y = x * x
    yield "gradient", tape.gradient(y, x)


@scenario
def a_tape_entered_twice(xp):
    x = xp.constant(3.0)
    tape = xp.GradientTape()

    def enter_again():
        with tape:
            with tape:
                return x

    yield "enter", lambda: enter_again()


@scenario
def a_tape_entered_again_later(xp):
    x = xp.constant(3.0)
    tape = xp.GradientTape()
    with tape:
        tape.watch(x)
        y = x * x
    with tape:
        z = y * y
    yield "gradient", lambda: tape.gradient(z, x)


@scenario
def ops_after_the_block_are_not_recorded(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    z = y * 2.0
    yield "gradient", tape.gradient(z, x)


@scenario
def a_number_as_source(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = x * 2.0
    yield "gradient", lambda: tape.gradient(y, 3.0)


@scenario
def none_as_target(xp):
    x = xp.constant(3.0)
    with xp.GradientTape() as tape:
        tape.watch(x)
    yield "gradient", lambda: tape.gradient(None, x)


@scenario
def gradients_accumulate_over_uses(xp):
    x = xp.constant([1.0, 2.0, 3.0])
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.sum(x) * x[0] + x[0] * x[2] + xp.sum(x * x)
    yield "gradient", tape.gradient(y, x)


@scenario
def broadcasting_is_undone(xp):
    x, y = xp.constant([[1.0], [2.0]]), xp.constant([3.0, 4.0, 5.0])
    with xp.GradientTape() as tape:
        tape.watch([x, y])
        z = x * y
    yield "gradient", tape.gradient(z, [x, y])


@scenario
def other_dtypes_keep_theirs(xp):
    for dtype in (xp.float16, xp.float64):
        x = xp.constant([1.0, 2.0], dtype)
        with xp.GradientTape() as tape:
            tape.watch(x)
            y = xp.astype(xp.sum(x * x), xp.float32)
        yield xp.name_of_dtype(x), tape.gradient(y, x)


@scenario
def an_empty_tensor(xp):
    x = xp.zeros((0, 3))
    with xp.GradientTape() as tape:
        tape.watch(x)
        y = xp.sum(x * x)
    yield "value", y
    yield "gradient", tape.gradient(y, x)


@scenario
def a_training_step(xp):
    w, b = xp.Variable([[1.0], [2.0]]), xp.Variable([0.5])
    x, t = xp.constant([[1.0, 2.0], [3.0, 4.0]]), xp.constant([[1.0], [0.0]])

    @xp.function
    def step():
        with xp.GradientTape() as tape:
            loss = xp.mean(xp.square(xp.matmul(x, w) + b - t))
        for v, g in zip([w, b], tape.gradient(loss, [w, b]), strict=True):
            v.assign_sub(0.01 * g)
        return loss

    yield "losses", [step() for _ in range(3)]
    yield "weights", [w, b]
    yield "traces", xp.trace_count_of(step)
