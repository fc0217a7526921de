// Package task has the commands of tasks and crons: semper run, semper task and semper cron.
//
// What commands share, which is flags, output and the way to the server, is given to it as a [Shell]. It asks the server, and prints what comes:
// it holds no rule about tasks, but for which exit code says how one ended.
package task
