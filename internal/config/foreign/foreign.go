package foreign

import "strings"

// Key is what a key of other tools' files is called here.
func Key(key string) []string {
	switch strings.ToLower(key) {
	case "processes", "process", "procs", "apps":
		return []string{"services"}
	case "name", "project", "application":
		return []string{"app"}
	case "replicas", "scale", "count", "copies", "size":
		return []string{"instances"}
	case "cmd", "run", "start", "entrypoint", "args", "exec_start":
		return []string{"command", "exec"}
	case "environment", "envs", "variables", "vars":
		return []string{"env"}
	case "healthcheck", "health_check", "readiness", "checks", "check", "readinessprobe":
		return []string{"health"}
	case "livenessprobe", "alive":
		return []string{"liveness"}
	case "resources", "limit":
		return []string{"limits"}
	case "mem", "memory_limit", "ram":
		return []string{"memory"}
	case "cpus", "cores":
		return []string{"cpu"}
	case "port", "ports", "expose", "socket":
		return []string{"listen"}
	case "domain", "domains", "hostname", "hosts":
		return []string{"host"}
	case "prefix", "path_prefix", "url", "http":
		return []string{"path"}
	case "service", "target", "backend":
		return []string{"to"}
	case "retries", "threshold", "failure_threshold", "unhealthy_threshold":
		return []string{"failures"}
	case "start_period", "initial_delay":
		return []string{"grace"}
	case "restarts", "max_restarts":
		return []string{"restarts", "intensity"}
	case "period":
		return []string{"within", "interval"}
	case "kill_timeout", "stop_grace_period", "stop_timeout", "kill_signal", "stop_signal":
		return []string{"stop"}
	case "routing", "ingress":
		return []string{"routes"}
	case "cron", "crontab", "every", "at":
		return []string{"schedule"}
	case "tz", "time_zone", "zone":
		return []string{"timezone"}
	case "concurrency_policy", "concurrencypolicy", "prohibit_overlap", "concurrency":
		return []string{"overlap"}
	case "startingdeadlineseconds", "starting_deadline_seconds":
		return []string{"starting_deadline"}
	case "activedeadlineseconds", "max_runtime", "timeout_seconds":
		return []string{"deadline"}
	}
	return nil
}

// Elsewhere is the hint for words that stand for something in another place.
func Elsewhere(path, key string) string {
	switch key {
	case "rollout", "strategy", "canary":
		return `there is no such section: did you mean "deploy" at the top level, or "warm" or "drain"?`
	case "image", "dockerfile":
		return `semper runs files, not images: name them with "artifact" at the top level`
	case "secrets":
		return `a secret is a value in env: "NAME: {secret: name}"`
	case "depends_on":
		return "services of an app start together; let health say when one is ready"
	case "release", "migration", "migrations", "pre_deploy", "release_command":
		return `what a release needs run once before it serves is "migrate" at the top level: "migrate: {command: …}"`
	case "route", "host", "domain", "domains":
		if path != "" && !strings.HasPrefix(path, "routes") {
			return `"routes" at the top level say which requests go to a service`
		}
	}
	return ""
}

// Value is what a value of other tools' files is called here.
func Value(key, value string) string {
	value = strings.ToLower(value)
	switch key {
	case "restart":
		switch value {
		case "always", "unless-stopped", "yes", "true":
			return "permanent"
		case "on-failure", "on_failure", "onfailure":
			return "transient"
		case "no", "never", "false":
			return "temporary"
		}
	case "type":
		switch value {
		case "http", "server", "site", "api":
			return "web"
		case "background", "job", "queue", "daemon":
			return "worker"
		case "cronjob", "scheduled", "periodic", "timer":
			return "cron"
		case "oneshot", "one-off", "oneoff", "batch":
			return "task"
		}
	case "overlap":
		switch value {
		case "forbid", "no", "false":
			return "skip"
		case "wait", "serial":
			return "queue"
		}
	case "listen":
		switch value {
		case "tcp":
			return "port"
		case "unix":
			return "socket"
		}
	case "signal":
		for _, name := range []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL"} {
			if strings.EqualFold(name, value) || strings.EqualFold("SIG"+name, value) {
				return "SIG" + name
			}
		}
	}
	return ""
}
