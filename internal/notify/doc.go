// Package notify speaks sd_notify, the readiness protocol of systemd: a process tells its supervisor
// "READY=1", "STOPPING=1" or "STATUS=…" in one datagram to the unix socket named by NOTIFY_SOCKET.
//
// Children use [Send]; the keeper uses [Listen]. The kernel attaches the sender's credentials to
// every datagram, so a message cannot claim to come from another process. A sender that has ended
// before its message is read can no longer be traced to anything; senders that wait for the barrier
// of systemd-notify (BARRIER=1 with a descriptor) are answered, because a [Listener] closes received
// descriptors only when the next message is asked for, that is after the previous one was handled.
package notify
