// Package pipeline decides how a release goes from environment to environment. It is a pure state machine, like package
// rollout: what it knows comes in as values (the run as stored, what is observed, the time), what it wants goes out as values.
//
// # The problem
//
// A release reaches production only after evidence, and whoever is in a hurry must not be able to leave the evidence out,
// be it by a flag, by a changed file or by calling the API. What proves something has to outlive the process that saw it, and a
// run must go on where it was when that process is killed between any two instructions.
//
// # How it is solved
//
// A [semper.Pipeline] names the environments in order, each with gates. A [course.Run] takes one release along it. In each
// environment a run passes the gates that stand before it, one after the other; then the environment's rollout moves it to the release;
// then come the gates of what is live. [Step] looks at where the run is and at what is true now, and moves it on as far as
// that allows. It is level-triggered: commands may be given and performed twice.
//
// Each gate that is passed leaves a [Passed]: a signed statement about the digests of artifact and configuration.
// An environment names the statements it requires, and [Admit] refuses whatever has not got them, whoever asks: runs
// of pipelines go through it as deploys by hand do. A statement counts for the gate as it is defined now: whoever changes
// a gate has it passed again. A gate that was passed is not passed twice: where a statement is there already, it is taken.
//
// # Invariants
//
//   - A run enters an environment only with every statement the environment requires, in force at that moment, in an open window, and with
//     the line not stopped.
//   - Nothing enters an environment that a newer run of the app has entered.
//   - A run that is refused, fails or is superseded leaves every environment on the release that it has.
//   - A clock set back makes gates that count time take longer, never shorter: a soak begins again, a yes from the future is none.
//   - What Step returns depends on its arguments alone.
//
// # What it does not do
//
// It signs nothing, stores nothing and runs nothing: control does. It does not judge: verdicts come with the rollout.
// It does not turn a release back: that is the rollout's watch.
package pipeline
