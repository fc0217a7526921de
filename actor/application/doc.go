// Package application starts the parts of a program in the order of their dependencies and stops them in reverse: the
// applications of Erlang/OTP.
//
// # Problem
//
// A program is more than one supervision tree. The database must be there before what uses it, the listener comes last
// and goes first, a metrics exporter may die without anybody caring, and the rest may not. Written by hand in main, this
// is a ladder of starts and defers in which the failure of the fourth start, a signal in the middle of the third, and an
// end that nobody asked for are each handled a little differently, and mostly not at all.
//
// # An application
//
// An [Application] is a name, its dependencies, a function that starts a tree, and what its end means for the others:
//
//	db := application.Application{Name: "db", Start: startPool}
//	web := application.Application{Name: "web", Dependencies: []string{"db"}, Start: startServer, PrepStop: turnAway}
//
// A [Controller] knows applications and runs them. [Main] is a controller with signals and a deadline, and the whole of
// most main functions. The life of an application:
//
//	loaded ──Start──▶ starting ──phases──▶ running ──▶ stopping ──▶ loaded
//	                                         │            PrepStop, Shutdown of the tree, Stop
//	                                         └─ the tree ends by itself: Stop
//
// An end by itself is an end of all when the application is [Permanent], or [Transient] and the reason was not Normal.
// That is what a supervisor's giving up leads to, one level above the topmost: the controller stops the other
// applications in reverse order, and closes its Done with a [TerminatedError] in its Reason. It does not end the program:
// what exit code that deserves is for main to say.
//
// # Phases
//
// Sometimes being up is not enough: a cache wants to be warm, and a server to accept, only after everyone's tree is
// there. All applications started by one call of [Controller.EnsureAllStarted] go through their phases together: the
// first phase over all that have it, in the order of their dependencies, then the next. The order of the phases is the
// one that all applications agree on; if they contradict each other, nothing is started.
//
// # Settings
//
// A [Key] is a typed setting with a fallback. An application brings its settings in Env, the program overrides them with
// Options.Env, and whoever must can change them at run time with SetEnv. Every process of an application finds the value
// for its own application with Key.Get, because it has inherited the context that Start got.
//
// # Invariants
//
//   - An application starts after all its dependencies and, when all are stopped, ends before them.
//   - A call that starts something starts all of it or leaves nothing of it behind.
//   - The stop of one application on purpose never affects another.
//   - When Done of a controller is closed, no function of an application runs and every tree has ended.
//   - Every wait has a context. When it ends, the work goes on and the error says who is blocking it.
//   - An idle application costs one goroutine, which its controller waits for. An idle controller has none.
//
// # Deviations from OTP
//
//   - The type is part of the description, and Permanent is the zero value. OTP wants it at the start, where temporary is
//     the default, while its releases make everything permanent. A program is a release.
//   - A controller can be made any number of times; OTP has one per node. The end of a Permanent application ends its
//     controller and not the operating system's process.
//   - An application that does not start leaves those alone that run, whatever its type: the caller has the error in hand.
//     OTP ends the node for a permanent one, and for a transient one that fails abnormally.
//   - The others begin to stop when the tree of a Permanent application has ended. OTP runs its Stop first: one that hangs
//     would hang all.
//   - Phases run over what one call starts. OTP runs them over an application and those included in it; there are no
//     included applications here, as a tree can be started by any other.
//   - ErrIgnore from Start is an application without a tree. OTP calls it a bad return.
//   - The end of a context breaks a start off. In OTP nothing does.
//   - One call starts at a time, in order; OTP can start independent applications at once.
//   - A start that waits for another start from inside of one, or a stop for itself, is ErrDeadlock. OTP hangs.
//   - PrepStop and Stop share what they know through a closure, not through a state that is passed on, and may return an
//     error, which is reported.
//   - OTP kills what an application leaves behind outside of its tree, which it finds by its group leader. Go cannot: put
//     every goroutine under the supervisor.
//   - Keys are known by identity and have a type; OTP's are atoms, and a typing error makes a new one.
//
// # What it will not do
//
// It does not read configuration files: parse them in main, and hand the values to Options.Env. It does not restart an
// application: that is what supervisors are for, and one that gave up has been restarted often enough.
//
// Of OTP's application_SUITE these do not transfer: failover, failover_comp, permissions, permit_false_start_local,
// permit_false_start_dist, nodedown_start, distr_changed_tc1 and 2, otp_2078, otp_3184, otp_4066, otp_5606 (applications
// distributed over nodes), script_start and otp_3002 (boot scripts), load_use_cache and get_key (.app files), otp_1586
// (included applications), otp_2012, config_change and change_config_data (new configuration by code upgrade), otp_5363
// (group leaders).
package application
