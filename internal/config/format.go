package config

import (
	"semper"
	"semper/edge/words"
	"semper/experiment/design"
	"semper/internal/config/kind"
	"semper/internal/config/later"
)

// The types below are the file format. Their tags are read by the walker, by Schema and by Explain:
//
//	yaml        the key
//	doc         its documentation, one or two sentences
//	jsonschema  required, minimum, maximum, enum, pattern, default, example (the notation of invopop/jsonschema)
//
// What is embedded from package words is read by package strict, with tags of its own, and handed on in a form of its own.
//
// A default here is documentation: semper.Spec.WithDefaults applies it, and a test compares the two.

type fileFormat struct {
	Version      int                      `yaml:"version" jsonschema:"required,minimum=1,maximum=1,example=1" doc:"Version of the file format. Always 1."`
	App          string                   `yaml:"app" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]{0\\,38}[a-z0-9])?$,example=shop" doc:"Name of the app: lower-case letters, digits and dashes, at most 40."`
	Artifact     string                   `yaml:"artifact" jsonschema:"example=dist" doc:"What is shipped: a directory, or a .tar or .tar.gz file, relative to this file. The directory of this file when left out."`
	Build        shellCommand             `yaml:"build" jsonschema:"example=make dist" doc:"Command run in the directory of this file before the artifact is packed. Text is run by /bin/sh -c, a list is run as it is."`
	Env          map[string]semper.EnvVar `yaml:"env" jsonschema:"example={LOG_LEVEL: info}" doc:"Environment variables of every service. A service's own env wins."`
	Services     map[string]service       `yaml:"services" jsonschema:"required" doc:"The programs of the app, by name."`
	Defaults     defaults                 `yaml:"defaults" doc:"Settings of every route that does not have its own: how requests are treated, with the keys of a route. What is a list or a table is replaced as a whole."`
	Routes       []routeFormat            `yaml:"routes" doc:"Which requests go to which web service. The most specific one wins: its host before any host; an exact path before the longest prefix; more conditions before fewer. With one web service and no routes, everything goes to it."`
	Deploy       deployFormat             `yaml:"deploy" doc:"How a release earns its traffic. It gets all at once when left out, or without steps."`
	Migrate      migrateFormat            `yaml:"migrate" doc:"A command that a release needs run once, between the readiness of its instances and its cutover. If it fails, or takes too long, the old release serves on, and the new one is bad."`
	Environments map[string]envFormat     `yaml:"environments" jsonschema:"example={beta: {gates: [{run: ./smoke.sh}]}\\, production: {gates: [{approve: [ops]}]}}" doc:"The pipeline: environments in the order in which a release passes them, what is otherwise in each, and its gates."`
	Experiments  []design.Plan            `yaml:"experiments" doc:"Experiments that semper experiment start NAME begins. A deploy neither begins nor ends one."`
	Webhooks     []webhook                `yaml:"webhooks" doc:"Who is told the events of the app."`
	Warm         semper.Duration          `yaml:"warm" jsonschema:"default=5m" doc:"How long the old release keeps running after a cutover: there is always a way back, and 0 is refused. Within it a rollback is immediate, and a crash loop of the new release rolls back by itself."`
	Drain        drain                    `yaml:"drain" doc:"How long the old release may finish what it has after a cutover, per class of connection."`
	Hold         hold                     `yaml:"hold" doc:"What may wait at most while requests are held. Beyond it they are answered with 503 and Retry-After."`
}

type service struct {
	Type      string                   `yaml:"type" jsonschema:"enum=web,enum=worker,enum=task,enum=cron,default=web" doc:"web takes HTTP requests. worker takes jobs: from semper (see jobs), or from a broker of its own. task runs once, when somebody asks (semper run); cron runs when its schedule says."`
	Command   command                  `yaml:"command" jsonschema:"required,example=./server --port $PORT" doc:"What to run, in the unpacked artifact. Text is split into words, or run by /bin/sh where it has shell syntax; a list is run as it is."`
	Env       map[string]semper.EnvVar `yaml:"env" jsonschema:"example={LOG_LEVEL: debug}" doc:"Environment variables of this service: text, a number, true or false, or {secret: NAME}."`
	Instances int                      `yaml:"instances" jsonschema:"minimum=0,maximum=1000,default=1" doc:"How many copies run. With scale: how many it begins with."`
	Scale     scale                    `yaml:"scale" jsonschema:"example={min: 1\\, max: 10}" doc:"Lets the number of copies follow the load."`
	Listen    string                   `yaml:"listen" jsonschema:"enum=port,enum=socket,default=port" doc:"How an instance is reached: port gives it PORT, a TCP port on 127.0.0.1; socket gives it SOCKET, the path of a unix socket to listen on. A worker has it only where it says so: then its jobs come as requests, and else it asks for them."`
	Protocol  string                   `yaml:"protocol" jsonschema:"enum=h1,enum=h2c,default=h1" doc:"What instances that listen are spoken to in: h1 is HTTP/1.1, h2c HTTP/2 without TLS, as most gRPC servers want it."`
	Health    health                   `yaml:"health" jsonschema:"example=/healthz" doc:"How to see that an instance is ready to take work. Text is short for path. One that listens is ready without it when it accepts connections, a worker that asks for jobs when it has asked for one, and another when it runs."`
	Liveness  check                    `yaml:"liveness" jsonschema:"example={path: /alive}" doc:"How to see that a ready instance has to be replaced. May stand in health as well. Off when left out."`
	Stop      stop                     `yaml:"stop" doc:"How an instance is asked to end."`
	Limits    limits                   `yaml:"limits" doc:"What one instance may use, where the machine has cgroups."`
	Restart   string                   `yaml:"restart" jsonschema:"enum=permanent,enum=transient,enum=temporary,default=permanent" doc:"When an instance that ended is started again: permanent always, transient after an abnormal end only, temporary never."`
	Intensity intensity                `yaml:"intensity" doc:"How many restarts are allowed within a period before semper calls it a crash loop."`
	Backoff   backoff                  `yaml:"backoff" doc:"The pause before a restart. The first restart has none."`
	User      string                   `yaml:"user" jsonschema:"pattern=^[A-Za-z0-9_][A-Za-z0-9_.-]{0\\,31}$,example=www-data" doc:"OS user to run as. Refused where semper may not change to it; when left out, semper takes the least privileged one it can give."`
	Jobs      later.Jobs               `yaml:"jobs" doc:"How jobs are done: the requests of routes with mode: async or either, and what other services of the app give a worker to do. A worker that says nothing here, not even jobs: {}, and that no route leads to, has no queue."`
	Drain     semper.Duration          `yaml:"drain" jsonschema:"example=10m" doc:"How long an instance of a worker may go on with the jobs it has once it takes no more; then they are given back, and it is told to end. As long as they take when left out."`
	Quiesce   quiesceFormat            `yaml:"quiesce" jsonschema:"example={signal: SIGTSTP\\, busy: ./worker --busy}" doc:"How a worker with a broker of its own is told to take no more jobs, and seen to have none left. Without it the stop signal tells it."`
	runs
	words.Pool
}

// runs is how a service runs that ends.
type runs struct {
	Schedule string          `yaml:"schedule" jsonschema:"example=\"*/5 * * * *\"" doc:"When a cron is due: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @every 90s."`
	Timezone string          `yaml:"timezone" jsonschema:"default=UTC,example=Europe/Berlin" doc:"Whose wall clock a cron's schedule goes by."`
	Overlap  string          `yaml:"overlap" jsonschema:"enum=skip,enum=queue,enum=replace,default=skip" doc:"When a cron is due and its last run has not ended. skip: the due time passes; queue: the run waits; replace: the last one is stopped first."`
	Jitter   semper.Duration `yaml:"jitter" jsonschema:"example=30s" doc:"How far the starts of crons with one schedule are spread. Each has a delay of its own below it, always the same. None when left out."`
	Starting semper.Duration `yaml:"starting_deadline" jsonschema:"example=10m" doc:"How late a cron's run may start, after downtime or a migration; later ones are left out. However late when left out: one run makes up for all that was missed."`
	Deadline semper.Duration `yaml:"deadline" jsonschema:"default=24h,example=15m" doc:"How long one run of a task or cron may take; then it is stopped, and has failed."`
}

type routeFormat struct {
	Host string `yaml:"host" jsonschema:"example=shop.example.com" doc:"Host name to match, without a port. Any host when left out."`
	Path string `yaml:"path" jsonschema:"default=/" doc:"Path prefix to match, on whole segments: /api matches /api and /api/x, not /apix."`
	To   string `yaml:"to" jsonschema:"example=web" doc:"Name of the web service, or of a worker with mode: async. Each route has this, split, redirect, respond or files."`
	Mode string `yaml:"mode" jsonschema:"enum=sync,enum=async,enum=either,default=sync" doc:"async: a request is on disk and acknowledged with 202 at once, and is done as soon as an instance takes it; its Location has the answer. either: async where a request says \"Prefer: respond-async\", sync where it does not. See jobs of the service."`
	words.Match
	words.Spread
	words.Answer
	words.Policy
}

// defaults are what routes have in common.
type defaults struct{ words.Policy }

// check is one health check; health adds liveness to it.
type check struct {
	Path     string          `yaml:"path" jsonschema:"pattern=^/,example=/healthz" doc:"Ready when GET of this path answers with a status from 200 to 399. Of a service that listens."`
	TCP      bool            `yaml:"tcp" jsonschema:"enum=true" doc:"Ready when the port or socket accepts a connection. The default of a service that listens."`
	Exec     command         `yaml:"exec" jsonschema:"example=./check --quick" doc:"Ready when this command, run as the instance's user in its artifact, exits with 0."`
	Notify   bool            `yaml:"notify" jsonschema:"enum=true" doc:"Ready when the instance sends READY=1 to NOTIFY_SOCKET, as sd_notify does."`
	Interval semper.Duration `yaml:"interval" jsonschema:"default=1s" doc:"Time between two checks."`
	Timeout  semper.Duration `yaml:"timeout" jsonschema:"default=1s" doc:"How long one check may take."`
	Grace    semper.Duration `yaml:"grace" jsonschema:"default=30s" doc:"How long a new instance may take to become ready."`
	Failures int             `yaml:"failures" jsonschema:"minimum=1,maximum=1000,default=3" doc:"How many checks in a row have to fail before an instance counts as not ready, or as not alive."`
}

type health struct {
	check    `yaml:",inline"`
	Liveness check `yaml:"liveness" jsonschema:"example={path: /alive}" doc:"The same as liveness beside health."`
}

type stop struct {
	Signal  string          `yaml:"signal" jsonschema:"enum=SIGTERM,enum=SIGINT,enum=SIGQUIT,enum=SIGHUP,enum=SIGUSR1,enum=SIGUSR2,enum=SIGWINCH,enum=SIGKILL,default=SIGTERM" doc:"Signal that asks the instance to end."`
	Timeout semper.Duration `yaml:"timeout" jsonschema:"default=10s" doc:"How long it may take; then it and everything it started is killed."`
}

type limits struct {
	Memory size    `yaml:"memory" jsonschema:"example=512MiB" doc:"Memory. No limit when left out."`
	CPU    float64 `yaml:"cpu" jsonschema:"exclusiveMinimum=0,maximum=4096,example=0.5" doc:"Processor cores. No limit when left out."`
	PIDs   int     `yaml:"pids" jsonschema:"minimum=1,maximum=4194304,example=100" doc:"Processes and threads. No limit when left out."`
	Log    size    `yaml:"log" jsonschema:"default=64MiB" doc:"Output kept on disk."`
}

type intensity struct {
	Restarts int             `yaml:"restarts" jsonschema:"minimum=1,maximum=100000,default=5" doc:"How many restarts."`
	Within   semper.Duration `yaml:"within" jsonschema:"default=1m" doc:"In which period."`
}

type backoff struct {
	Min    semper.Duration `yaml:"min" jsonschema:"default=100ms" doc:"The pause before the second restart in a row."`
	Max    semper.Duration `yaml:"max" jsonschema:"default=10s" doc:"The longest pause."`
	Factor float64         `yaml:"factor" jsonschema:"minimum=1,maximum=100,default=2" doc:"How much longer each pause is than the one before."`
	Reset  semper.Duration `yaml:"reset" jsonschema:"default=30s" doc:"After running this long, an instance starts from no pause again."`
}

type drain struct {
	Request   semper.Duration `yaml:"request" jsonschema:"default=30s" doc:"Ordinary HTTP requests."`
	Stream    semper.Duration `yaml:"stream" jsonschema:"default=30s" doc:"Event streams (text/event-stream)."`
	WebSocket semper.Duration `yaml:"websocket" jsonschema:"default=1m" doc:"WebSockets and other upgraded connections; they are then closed with 1012, spread out in time."`
}

type hold struct {
	Requests int             `yaml:"requests" jsonschema:"minimum=1,maximum=1000000,default=1000" doc:"How many requests at once."`
	Bytes    size            `yaml:"bytes" jsonschema:"default=64MiB" doc:"How many bytes of request bodies in all."`
	Age      semper.Duration `yaml:"age" jsonschema:"default=30s" doc:"How long one request."`
	Rate     int             `yaml:"rate" jsonschema:"minimum=1,maximum=1000000,default=500" doc:"How many requests per second are let go afterwards."`
}

type size = kind.Size

// command is an argv; text goes through [argv.Split].
type command []string

// shellCommand is an argv; text is always run by a shell.
type shellCommand []string

// secretRef is the value of an environment variable that is a secret.
type secretRef struct {
	Secret secretName `yaml:"secret" jsonschema:"required,example=database_url" doc:"Name of a secret set with semper secret set. It is looked up when an instance starts and never printed."`
}

// secretName names a secret.
type secretName string

// secretPattern is what names of secrets look like.
const secretPattern = `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`
