package metrics

// An Event is something that happens to requests of one series and is counted there.
type Event uint8

// The events of a series.
const (
	RetryConnect     Event = iota // tried again: nobody had accepted
	RetryReset                    // tried again: the connection ended first
	RetryStatus                   // tried again: the answer was one to retry on
	RetryDenied                   // not tried again: the budget was used up
	Hedged                        // tried at a second instance while the first took long
	HedgeWon                      // answered by the second instance
	HedgeDenied                   // not tried at a second instance: the budget was used up
	ShedHoldRequests              // refused: as many wait for a hold to end as may
	ShedHoldBytes                 // refused: those who wait for it bring as much content as may be
	ShedHoldAge                   // refused: held for too long
	ShedQueue                     // refused: no place in the queue, or too long in it
	ShedLimit                     // refused: too many in flight
	ShedLoad                      // refused: of a class that is given up first
	ShedRate                      // refused: over the rate of its route or client
	ShedMemory                    // refused: the edge has too little memory left
	ShedDescriptors               // refused: the edge has no descriptor for a connection to an instance
	Cut                           // ended by a drain deadline
	Upgraded                      // became a WebSocket or another protocol
	EjectFailures                 // an instance was ejected: failures in a row
	EjectSuccessRate              // an instance was ejected: fails more than its peers
	EjectDead                     // an instance was ejected: its process died, or nobody accepts
	EjectCheck                    // an instance was ejected: its check failed
	Readmitted                    // an instance came back
	upstreamOpened                // by Counters.Try
	upstreamReused                // by reading: all other tries
	events           = int(iota)
)

// An EdgeEvent is something that happens outside of any series.
type EdgeEvent uint8

// The events of the edge itself.
const (
	ConnAccepted   EdgeEvent = iota
	ConnClosed               // so open connections are those accepted less those closed
	ConnRefused              // over a limit, or while draining
	ConnHandedOver           // from a loop to a goroutine
	TLSHandshake             // whole handshakes
	TLSResumed               // by a session ticket
	TLSFailed                // handshakes that came to nothing
	ProxyRefused             // no PROXY header where there must be one, or a bad one
	TimeoutHeader            // a head that took too long
	TimeoutBody              // a body without progress
	TimeoutWrite             // a client that does not read
	TimeoutIdle              // a connection without a request
	PausedFull               // a listener took nobody for a moment: as many connections as may be
	PausedShort              // the same: no descriptors, or no memory of the kernel's
	TraceStarted             // requests without a valid trace context
	TraceKept                // requests with one
	edgeEvents     = int(iota)
)

// counted says under which name and label an event is shown. Events of one name stand together.
type counted struct {
	event        int
	name, help   string
	label, value string
}

var seriesEvents = []counted{
	{int(RetryConnect), "semper_edge_retries_total", "Requests tried again, by what had gone wrong.", "reason", "connect"},
	{int(RetryReset), "semper_edge_retries_total", "", "reason", "reset"},
	{int(RetryStatus), "semper_edge_retries_total", "", "reason", "status"},
	{int(RetryDenied), "semper_edge_retries_denied_total", "Requests not tried again because the retry budget was used up.", "", ""},
	{int(Hedged), "semper_edge_hedges_total", "Requests given to a second instance while the first took long.", "", ""},
	{int(HedgeWon), "semper_edge_hedges_won_total", "Requests that got the answer of the second instance.", "", ""},
	{int(HedgeDenied), "semper_edge_hedges_denied_total", "Requests not given to a second instance because the budget was used up.", "", ""},
	{int(ShedHoldRequests), "semper_edge_shed_total", "Requests refused to protect the rest, by which bound.", "reason", "hold_requests"},
	{int(ShedHoldBytes), "semper_edge_shed_total", "", "reason", "hold_bytes"},
	{int(ShedHoldAge), "semper_edge_shed_total", "", "reason", "hold_age"},
	{int(ShedQueue), "semper_edge_shed_total", "", "reason", "queue"},
	{int(ShedLimit), "semper_edge_shed_total", "", "reason", "limit"},
	{int(ShedLoad), "semper_edge_shed_total", "", "reason", "load"},
	{int(ShedRate), "semper_edge_shed_total", "", "reason", "rate"},
	{int(ShedMemory), "semper_edge_shed_total", "", "reason", "memory"},
	{int(ShedDescriptors), "semper_edge_shed_total", "", "reason", "descriptors"},
	{int(Cut), "semper_edge_cut_total", "Requests ended by a drain deadline.", "", ""},
	{int(Upgraded), "semper_edge_upgrades_total", "Connections that became a WebSocket or another protocol.", "", ""},
	{int(EjectFailures), "semper_edge_ejections_total", "Instances taken out of their pool by the edge, by why.", "reason", "failures"},
	{int(EjectSuccessRate), "semper_edge_ejections_total", "", "reason", "success_rate"},
	{int(EjectDead), "semper_edge_ejections_total", "", "reason", "dead"},
	{int(EjectCheck), "semper_edge_ejections_total", "", "reason", "check"},
	{int(Readmitted), "semper_edge_readmissions_total", "Instances that came back into their pool.", "", ""},
	{int(upstreamOpened), "semper_edge_upstream_tries_total", "Tries at instances, by whether their connection was opened for them.", "connection", "opened"},
	{int(upstreamReused), "semper_edge_upstream_tries_total", "", "connection", "reused"},
}

var ownEvents = []counted{
	{int(ConnAccepted), "semper_edge_connections_accepted_total", "Connections accepted from clients.", "", ""},
	{int(ConnRefused), "semper_edge_connections_refused_total", "Connections closed at once, over a limit or while draining.", "", ""},
	{int(ConnHandedOver), "semper_edge_connections_handed_over_total", "Connections given from an event loop to a goroutine.", "", ""},
	{int(TLSHandshake), "semper_edge_tls_handshakes_total", "TLS handshakes, by how they went.", "result", "full"},
	{int(TLSResumed), "semper_edge_tls_handshakes_total", "", "result", "resumed"},
	{int(TLSFailed), "semper_edge_tls_handshakes_total", "", "result", "failed"},
	{int(ProxyRefused), "semper_edge_proxy_protocol_refused_total", "Connections closed for their PROXY header.", "", ""},
	{int(TimeoutHeader), "semper_edge_timeouts_total", "Deadlines that clients let pass, by what was waited for.", "waiting_for", "header"},
	{int(TimeoutBody), "semper_edge_timeouts_total", "", "waiting_for", "body"},
	{int(TimeoutWrite), "semper_edge_timeouts_total", "", "waiting_for", "write"},
	{int(TimeoutIdle), "semper_edge_timeouts_total", "", "waiting_for", "request"},
	{int(PausedFull), "semper_edge_accept_pauses_total", "Moments in which a listener took no connections, by why.", "reason", "full"},
	{int(PausedShort), "semper_edge_accept_pauses_total", "", "reason", "descriptors"},
	{int(TraceStarted), "semper_edge_traces_total", "Requests by whether they came with a valid trace context.", "context", "started"},
	{int(TraceKept), "semper_edge_traces_total", "", "context", "kept"},
}

// RetryFor is the event of another try, after nobody had accepted or what accepted brought nothing.
func RetryFor(connect bool) Event {
	if connect {
		return RetryConnect
	}
	return RetryReset
}
