%% The Erlang/OTP side of bench/actors. Each group is run by a virtual machine of its own:
%%
%%     erl -noshell -pa DIR -run otp main GROUP DIVISOR
%%
%% It writes lines of a name and a number. DIVISOR makes all counts smaller, for a quick run.
%% The processes do what those of actor.go do, message for message.
-module(otp).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export([start_child/1]).

main([Group, Divisor]) ->
    logger:set_primary_config(level, none), % no crash reports, here as there
    Scale = list_to_integer(Divisor),
    run(list_to_atom(Group), fun(N) -> max(10, N div Scale) end),
    halt(0).

say(Name, Value) -> io:format("~s ~w~n", [Name, float(Value)]).

now_ns() -> erlang:monotonic_time(nanosecond).

timed(F) ->
    T = now_ns(),
    F(),
    now_ns() - T.

%% warm, then measure: nanoseconds for each of N.
per(N, F) ->
    F(max(1, N div 10)),
    timed(fun() -> F(N) end) / N.

repeat(0, _) -> ok;
repeat(N, F) -> F(), repeat(N - 1, F).

%% --- the server --------------------------------------------------------------------------------

init({sup, Flags, Child}) -> {ok, {Flags, [Child]}};
init({up, To}) -> To ! {up, self()}, {ok, 0};
init(N) -> {ok, N}.

handle_call(get, _, N) -> {reply, N, N + 1};
handle_call(sleep, _, N) -> {reply, N, N + 1, hibernate}.

handle_cast({tick, 0, To}, N) -> To ! done, {noreply, N + 1};
handle_cast({tick, _, _}, N) -> {noreply, N + 1};
handle_cast({next, Next}, _) -> {noreply, Next};
handle_cast({hop, 0, To}, Next) -> To ! done, {noreply, Next};
handle_cast({hop, K, To}, Next) -> gen_server:cast(Next, {hop, K - 1, To}), {noreply, Next};
handle_cast({expect, K, To}, _) -> {noreply, {K, To}};
handle_cast(arrive, {1, To}) -> To ! done, {noreply, 0};
handle_cast(arrive, {K, To}) -> {noreply, {K - 1, To}};
handle_cast({timers, K, To}, _) ->
    % Else each collection looks at the whole mailbox, and a million timers take minutes.
    process_flag(message_queue_data, off_heap),
    repeat(K, fun() -> erlang:send_after(rand:uniform(1000), self(), tick) end),
    {noreply, {K, To}};
handle_cast(crash, _) -> exit(boom).

handle_info(tick, {1, To}) -> To ! done, {noreply, 0};
handle_info(tick, {K, To}) -> {noreply, {K - 1, To}}.

start() -> {ok, P} = gen_server:start(?MODULE, 0, []), P.

start_child(Arg) -> gen_server:start_link(?MODULE, Arg, []).

dynamic() ->
    Flags = #{strategy => simple_one_for_one, intensity => 1, period => 5},
    Child = #{id => c, start => {?MODULE, start_child, []}, restart => temporary, shutdown => 5000},
    {ok, Sup} = supervisor:start_link(?MODULE, {sup, Flags, Child}),
    unlink(Sup),
    Sup.

stop(Sup) ->
    M = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', M, process, _, _} -> ok end.

starts(0, Pids, _) -> Pids;
starts(N, Pids, F) -> {ok, P} = F(), starts(N - 1, [P | Pids], F).

kill_all(Pids) ->
    Refs = [begin M = monitor(process, P), unlink(P), exit(P, kill), M end || P <- Pids],
    [receive {'DOWN', M, process, _, _} -> ok end || M <- Refs],
    ok.

%% --- the groups --------------------------------------------------------------------------------

run(call, Scale) ->
    P = start(),
    N = Scale(300000),
    say("call", per(N, fun(K) -> repeat(K, fun() -> gen_server:call(P, get, infinity) end) end)),
    say("call_deadline", per(N, fun(K) -> repeat(K, fun() -> gen_server:call(P, get, 5000) end) end));
run(cast, Scale) ->
    say("cast", per(Scale(1000000), casts(start()))),
    Raw = spawn(fun counts/0),
    say("send", per(Scale(1000000), fun(K) -> sends(K - 1, Raw), receive done -> ok end end));
run(start, Scale) ->
    N = Scale(100000),
    say("start", start_cost(N, fun() -> gen_server:start(?MODULE, 0, []) end)),
    say("start_link", start_cost(N, fun() -> gen_server:start_link(?MODULE, 0, []) end)),
    stop(begin S = dynamic(), starts(N div 10, [], fun() -> supervisor:start_child(S, [0]) end), S end),
    Sup = dynamic(),
    say("start_child", timed(fun() -> starts(N, [], fun() -> supervisor:start_child(Sup, [0]) end) end) / N);
run(idle, Scale) ->
    N = Scale(100000),
    {B, Pids} = bytes(fun() -> starts(N, [], fun() -> awake(gen_server:start(?MODULE, 0, [])) end) end),
    say("idle", B / N),
    say("idle_info", lists:sum([element(2, process_info(P, memory)) || P <- Pids]) / N),
    kill_all(Pids),
    {H, Sleepers} = bytes(fun() -> starts(N, [], fun() -> asleep(gen_server:start(?MODULE, 0, [])) end) end),
    say("idle_hibernated", H / N),
    kill_all(Sleepers),
    Sup = dynamic(),
    {S, _} = bytes(fun() -> starts(N, [], fun() -> awake(supervisor:start_child(Sup, [0])) end) end),
    say("idle_supervised", S / N);
run(crash, Scale) ->
    N = Scale(2000),
    say("restart_killed", restarts(N, fun(P) -> exit(P, kill) end)),
    say("restart_crashed", restarts(N, fun(P) -> gen_server:cast(P, crash) end)),
    % What a new system does with reports, into another file: handler and formatter as the kernel sets them up.
    Formatter = {logger_formatter, #{legacy_header => true, single_line => false}},
    ok = logger:remove_handler(default),
    ok = logger:add_handler(null, logger_std_h, #{config => #{file => "/dev/null"}, formatter => Formatter}),
    ok = logger:set_primary_config(level, notice),
    say("restart_reported", restarts(N, fun(P) -> gen_server:cast(P, crash) end));
run(ring, Scale) ->
    say("ring_raw", per(Scale(1000000), hops(raw_ring(1000), fun(P, M) -> P ! M end))),
    say("ring", per(Scale(1000000), hops(ring(1000), fun gen_server:cast/2)));
run(fanin, Scale) ->
    N = Scale(10000),
    fan(N, 100, start(), fun(To) -> gen_server:cast(To, arrive) end),
    say("fanin", fan(N, 100, start(), fun(To) -> gen_server:cast(To, arrive) end) / (N * 100)),
    say("fanin_raw", fan(N, 100, spawn(fun arrivals/0), fun(To) -> To ! {'$gen_cast', arrive} end) / (N * 100));
run(timers, Scale) ->
    {Wall, _} = timers(Scale(1000000)),
    say("timers", Wall);
run(timerscpu, Scale) ->
    {_, CPU} = timers(Scale(1000000)),
    say("timers_cpu", CPU);
run(growth, Scale) ->
    P = start(),
    {Call, Cast} = messages(P, Scale),
    Full = spawn(fun() -> receive never -> ok end end),
    repeat(Scale(1000000), fun() -> Full ! {tick, 1, Full} end),
    {BacklogCall, BacklogCast} = messages(P, Scale),
    kill_all([Full]),
    Many = starts(Scale(1000000), [], fun() -> awake(gen_server:start(?MODULE, 0, [])) end),
    {ManyCall, ManyCast} = messages(P, Scale),
    true = is_process_alive(hd(Many)),
    say("call_alone", Call), say("call_many", ManyCall), say("call_backlog", BacklogCall),
    say("cast_alone", Cast), say("cast_many", ManyCast), say("cast_backlog", BacklogCast);
run(dynamic, Scale) ->
    whole(Scale(10000)),
    Few = lists:sum([whole(Scale(10000)) || _ <- lists:seq(1, 10)]) / 10,
    Many = whole(Scale(100000)),
    say("dynamic_few", Few / Scale(10000)),
    say("dynamic_many", Many / Scale(100000));
run(million, Scale) ->
    N = Scale(1000000),
    Before = rss(),
    T = now_ns(),
    {B, Pids} = bytes(fun() -> starts(N, [], fun() -> awake(gen_server:start(?MODULE, 0, [])) end) end),
    say("million_time", now_ns() - T),
    say("million_bytes", B),
    say("million_rss", rss() - Before),
    true = is_process_alive(hd(Pids)).

casts(P) ->
    fun(K) -> ticks(K - 1, P), receive done -> ok end end.

ticks(0, P) -> gen_server:cast(P, {tick, 0, self()});
ticks(K, P) -> gen_server:cast(P, {tick, K, self()}), ticks(K - 1, P).

sends(0, P) -> P ! {tick, 0, self()};
sends(K, P) -> P ! {tick, K, self()}, sends(K - 1, P).

counts() ->
    receive
        {tick, 0, To} -> To ! done, counts();
        {tick, _, _} -> counts()
    end.

start_cost(N, F) ->
    kill_all(starts(N div 10, [], F)),
    T = now_ns(),
    Pids = starts(N, [], F),
    D = now_ns() - T,
    kill_all(Pids),
    D / N.

awake({ok, P}) -> gen_server:call(P, get, infinity), {ok, P}.

asleep({ok, P}) -> gen_server:call(P, sleep, infinity), {ok, P}.

bytes(F) ->
    erlang:garbage_collect(),
    Before = erlang:memory(processes),
    X = F(),
    erlang:garbage_collect(),
    {erlang:memory(processes) - Before, X}.

rss() ->
    {ok, Text} = file:read_file("/proc/self/status"),
    {match, [KB]} = re:run(Text, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, list}]),
    list_to_integer(KB) * 1024.

%% A supervisor for every 200 restarts: adding one looks at all those of the period, which is of seconds.
restarts(N, End) ->
    restarts_of(200, End),
    lists:sum([restarts_of(200, End) || _ <- lists:seq(1, max(1, N div 200))]) / (max(1, N div 200) * 200).

restarts_of(K, End) ->
    Flags = #{strategy => one_for_one, intensity => 1000000, period => 5},
    Child = #{id => c, start => {?MODULE, start_child, [{up, self()}]}, shutdown => 5000},
    {ok, Sup} = supervisor:start_link(?MODULE, {sup, Flags, Child}),
    unlink(Sup),
    P = up(),
    D = timed(fun() -> restart(K, P, End) end),
    stop(Sup),
    D.

restart(0, _, _) -> ok;
restart(K, P, End) -> End(P), restart(K - 1, up(), End).

up() ->
    receive {up, P} -> gen_server:call(P, get, infinity), P end.

raw_ring(Size) ->
    First = spawn(fun() -> receive {next, Next} -> hop(Next) end end),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> hop(Next) end) end, First, lists:seq(2, Size)),
    First ! {next, Last},
    First.

hop(Next) ->
    receive
        {hop, 0, To} -> To ! done, hop(Next);
        {hop, K, To} -> Next ! {hop, K - 1, To}, hop(Next)
    end.

ring(Size) ->
    First = start(),
    Link = fun(_, Next) -> P = start(), gen_server:cast(P, {next, Next}), P end,
    gen_server:cast(First, {next, lists:foldl(Link, First, lists:seq(2, Size))}),
    First.

hops(First, Send) ->
    fun(K) -> Send(First, {hop, K, self()}), receive done -> ok end end.

fan(N, Each, To, Send) ->
    Senders = [spawn(fun() -> receive go -> repeat(Each, fun() -> Send(To) end) end end) || _ <- lists:seq(1, N)],
    gen_server:cast(To, {expect, N * Each, self()}),
    timed(fun() -> [S ! go || S <- Senders], receive done -> ok end end).

arrivals() ->
    receive {'$gen_cast', {expect, K, To}} -> arrivals(K, To) end.

arrivals(0, To) -> To ! done;
arrivals(K, To) ->
    receive {'$gen_cast', arrive} -> arrivals(K - 1, To) end.

timers(N) ->
    P = start(),
    T = now_ns(),
    statistics(runtime),
    gen_server:cast(P, {timers, N, self()}),
    receive done -> ok end,
    {_, CPU} = statistics(runtime),
    {now_ns() - T, CPU * 1000000}.

messages(P, Scale) ->
    {per(Scale(300000), fun(K) -> repeat(K, fun() -> gen_server:call(P, get, infinity) end) end),
     per(Scale(1000000), casts(P))}.

whole(N) ->
    erlang:garbage_collect(),
    timed(fun() ->
        Sup = dynamic(),
        repeat(N, fun() -> {ok, _} = supervisor:start_child(Sup, [0]) end),
        stop(Sup)
    end).
