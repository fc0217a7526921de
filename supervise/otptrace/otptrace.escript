#!/usr/bin/env escript
%%! -env ERL_CRASH_DUMP_SECONDS 0
%% otptrace.escript plays cases on the supervisor of Erlang/OTP, as otptrace plays them on package supervise: the same
%% cases on stdin, the same traces on stdout. `otptrace -help` documents both. Cases run side by side in one VM, so that
%% their waits overlap. Needs OTP 24 or later; says "late" instead of a trace that a busy machine has spoilt.
-mode(compile).
-export([init/1]).

-define(AT_ONCE, 200).  % cases at a time
-define(SLACK, 800).    % ms the clock may run ahead of a case's waits when a period is under ?TIMED seconds
-define(TIMED, 60).
-define(ATTEMPTS, 5).

%% What every process of a case knows: who collects the events, and the table of what stands where.
-record(w, {driver, tab}).
%% Who an event is about: its path; the outermost simple_one_for_one above, and the child of that one it belongs to.
-record(who, {path, pool = none, slot = none}).
-record(ev, {at, verb, who, detail = ""}).
%% The driver's state.
-record(d, {w, owner, boot = none, exit = none, stopped = false, events = [], pending = [], answers = [], state = []}).

main(_) ->
    logger:set_primary_config(level, none),
    ok = io:setopts([binary, {encoding, latin1}]),
    try cases(read([]), []) of
        Cases -> pool(lists:zip(lists:seq(1, length(Cases)), Cases), 0, #{}, 1)
    catch throw:{json, Left} ->
        io:format(standard_error, "otptrace.escript: not a case: ~ts~n", [string:slice(Left, 0, 60)]),
        halt(2)
    end.

init(Args) -> Args.

read(Got) ->
    case file:read(standard_io, 65536) of
        {ok, More} -> read([More | Got]);
        eof -> iolist_to_binary(lists:reverse(Got))
    end.

%% pool runs the cases and prints the traces in the order of the cases.
pool([], 0, _, _) -> ok;
pool([{N, Case} | Rest], Running, Done, Next) when Running < ?AT_ONCE ->
    Pool = self(),
    spawn_link(fun() -> Pool ! {N, attempt(Case, ?ATTEMPTS)} end),
    pool(Rest, Running + 1, Done, Next);
pool(Rest, Running, Done, Next) ->
    receive {N, Trace} -> {Left, After} = print(Done#{N => Trace}, Next), pool(Rest, Running - 1, Left, After) end.

print(Done, Next) ->
    case maps:take(Next, Done) of
        {Trace, Left} -> io:put_chars(Trace), print(Left, Next + 1);
        error -> {Done, Next}
    end.

attempt(Case, Times) ->
    Self = self(),
    {Pid, Ref} = spawn_monitor(fun() -> Self ! {self(), play(Case)} end),
    Name = maps:get(<<"name">>, Case),
    receive
        {Pid, late} when Times > 1 -> attempt(Case, Times - 1);
        {Pid, late} -> ["case ", Name, "\nlate\n"];
        {Pid, Lines} -> ["case ", Name, $\n, [[L, $\n] || L <- Lines]];
        {'DOWN', Ref, process, _, Why} -> io_lib:format("case ~ts~nfault of otptrace.escript: ~0p~n", [Name, Why])
    end.

%%% One case

play(#{<<"tree">> := Tree} = Case) ->
    W = #w{driver = self(), tab = ets:new(case_tab, [public])},
    Began = erlang:monotonic_time(millisecond),
    load(W, <<>>, Tree),
    D0 = #d{w = W, owner = spawn(fun() -> own(W, Tree) end)},
    {D1, Boot} = rest(D0, "boot"),
    Steps = maps:get(<<"steps">>, Case, []),
    {D2, Told} = steps(D1, 1, Steps, []),
    Waits = lists:sum([maps:get(<<"ms">>, S, 0) || S <- Steps]),
    Late = timed(Tree) andalso erlang:monotonic_time(millisecond) - Began > Waits + ?SLACK,
    {D3, End} = finish(D2),
    Left = left(D3),
    Unheard = ets:member(W#w.tab, unheard),
    ets:delete(W#w.tab),
    case Late orelse Unheard of
        true -> late;
        false -> lists:append([Boot, Told, End, Left])
    end.

%% own is the parent of the root.
own(#w{driver = D, tab = Tab} = W, Tree) ->
    process_flag(trap_exit, true),
    case supervisor:start_link(?MODULE, tree(W, #who{path = <<>>}, Tree)) of
        {ok, Root} -> ets:insert(Tab, {{sup, <<>>}, Root}), D ! {boot, ok}, own(D, Root);
        Failure -> D ! {boot, Failure}
    end;
own(D, Root) ->
    receive
        {stop, Reason} -> exit(Root, Reason), own(D, Root);
        {'EXIT', Root, Reason} -> D ! {root_exit, Reason}
    end.

load(W, Path, #{<<"children">> := Cs} = T) ->
    [begin
         P = join(Path, maps:get(<<"id">>, C, <<>>)),
         dynamic(T) orelse script(W, P, maps:get(<<"starts">>, C, [])),
         load(W, P, maps:get(<<"tree">>, C, #{}))
     end || C <- Cs];
load(_, _, _) -> ok.

script(_, _, []) -> ok;
script(#w{tab = Tab}, Path, Starts) -> ets:insert(Tab, {{script, Path}, Starts}).

timed(#{} = T) ->
    maps:get(<<"period">>, T, 5) < ?TIMED orelse
        lists:any(fun(C) -> maps:is_key(<<"tree">>, C) andalso timed(maps:get(<<"tree">>, C)) end, maps:get(<<"children">>, T, [])).

steps(D, _, [], Told) -> {D, lists:append(lists:reverse(Told))};
steps(D, N, [S | Rest], Told) ->
    case alive(D) of
        false -> steps(D, N, [], Told);
        true ->
            {D1, Words} = do(D, N, S),
            {D2, Lines} = rest(D1, io_lib:format("~b ~ts", [N, Words])),
            steps(D2, N + 1, Rest, [Lines | Told])
    end.

alive(#d{boot = {error, _}}) -> false;
alive(#d{exit = E}) -> E =:= none.

finish(D) ->
    case alive(D) of
        false -> {D, []};
        true ->
            release_all(D#d.w),
            {D1, Released} = rest(D, "release all"),
            {D2, Ended} = case alive(D1) of
                true -> rest(stop(D1), "end");
                false -> {D1, []}
            end,
            {D2, Released ++ Ended}
    end.

left(#d{boot = {error, Why}} = D) -> [["ended: failed to start ", failed(Why)] | survivors(D)];
left(#d{exit = Reason} = D) -> [["ended: ", kind(Reason)] | survivors(D)].

survivors(#d{w = #w{tab = Tab}}) ->
    [["left: ", P] || {P, Pid} <- lists:sort([{P, Pid} || [P, Pid] <- ets:match(Tab, {{worker, '$1'}, '$2', '_'})]), is_process_alive(Pid)].

failed({shutdown, {failed_to_start_child, Id, Why}}) ->
    case failed(Why) of
        "" -> Id;
        Below -> [Id, $/, Below]
    end;
failed(_) -> "".

kind(normal) -> "normal";
kind(shutdown) -> "shutdown";
kind({shutdown, _}) -> "shutdown";
kind(killed) -> "killed";
kind(_) -> "crash".

%%% Steps

do(#d{w = #w{tab = Tab}} = D, _, #{<<"do">> := <<"exit">>, <<"child">> := P, <<"reason">> := R}) ->
    Words = ["exit ", P, $\s, R],
    case ets:lookup(Tab, {worker, P}) of
        [{_, Pid, Sup}] ->
            case is_process_alive(Pid) of
                true -> fell(Tab, Pid, Sup, R), {D, Words};
                false -> {D, [Words, ": none"]}
            end;
        [] -> {D, [Words, ": none"]}
    end;
do(D, _, #{<<"do">> := <<"starts">>, <<"child">> := P, <<"starts">> := Starts}) ->
    script(D#d.w, P, Starts),
    {D, ["starts ", P, $\s, lists:join($\s, Starts)]};
do(D, _, #{<<"do">> := <<"advance">>, <<"ms">> := Ms}) ->
    timer:sleep(Ms),
    {D, io_lib:format("advance ~b", [Ms])};
do(D, _, #{<<"do">> := <<"release">>, <<"child">> := P}) ->
    release(D#d.w, P),
    {D, ["release ", P]};
do(D, _, #{<<"do">> := <<"stop">>}) ->
    {stop(D), "stop"};
do(D, _, #{<<"do">> := <<"kill">>}) ->
    D#d.owner ! {stop, kill},
    D1 = buried(D),
    {D1#d{events = []}, "kill"}; % every process ended for itself, in no order
do(D, N, #{<<"do">> := <<"start_child">>, <<"spec">> := #{<<"id">> := Id} = C} = S) ->
    call(D, N, "start_child", maps:get(<<"supervisor">>, S, <<>>), Id, C);
do(D, N, #{<<"do">> := Call, <<"child">> := P}) ->
    {Path, Id} = parent(P),
    call(D, N, Call, Path, Id, none).

stop(D) -> D#d.owner ! {stop, shutdown}, D#d{stopped = true}.

%% fell ends a worker and returns when its end has reached the supervisor's mailbox: then the link is gone.
fell(Tab, Pid, Sup, Reason) ->
    Ref = erlang:monitor(process, Pid),
    case Reason of
        <<"kill">> -> ets:insert(Tab, {{meant, Pid}}), exit(Pid, kill);
        _ -> Pid ! {die, reason(Reason)}
    end,
    receive {'DOWN', Ref, process, Pid, _} -> ok end,
    unlinked(Pid, Sup).

unlinked(Pid, Sup) ->
    case process_info(Sup, links) of
        {links, Links} -> lists:member(Pid, Links) andalso begin erlang:yield(), unlinked(Pid, Sup) end;
        undefined -> ok
    end.

reason(<<"normal">>) -> normal;
reason(<<"shutdown">>) -> shutdown;
reason(<<"shutdown_term">>) -> {shutdown, boom};
reason(<<"crash">>) -> boom.

%% call asks as the functions of module supervisor do, but does not wait: the supervisor may be blocked, and the order in
%% which several calls and ends reach it must be the order of the steps.
call(#d{w = #w{tab = Tab} = W} = D, N, Call, Path, Id, C) ->
    Words = [Call, $\s, join(Path, Id)],
    case ets:lookup(Tab, {sup, Path}) of
        [] -> {D, [Words, ": noproc"]};
        [{_, Sup}] ->
            Req = gen_server:send_request(Sup, request(W, iolist_to_binary(Call), Path, Id, C)),
            {D#d{pending = [{N, Path, Req} | D#d.pending]}, Words}
    end.

request(#w{tab = Tab} = W, <<"start_child">>, Path, Id, C) ->
    script(W, join(Path, Id), maps:get(<<"starts">>, C, [])),
    case ets:member(Tab, {dynamic, Path}) of
        true -> {start_child, [[Id]]};
        false -> {start_child, spec(W, #who{path = join(Path, Id)}, C)}
    end;
request(#w{tab = Tab}, <<"terminate_child">>, Path, Id, _) ->
    case ets:member(Tab, {dynamic, Path}) of
        true -> {terminate_child, pid(Tab, join(Path, Id))};
        false -> {terminate_child, Id}
    end;
request(_, Call, _, Id, _) -> {binary_to_atom(Call), Id}.

pid(Tab, Path) ->
    case ets:lookup(Tab, {child, Path}) of
        [{_, Pid}] -> Pid;
        [] -> self() % a process that lives and is no child
    end.

answer({reply, ok}) -> "ok";
answer({reply, {ok, _}}) -> "ok";
answer({reply, {error, {already_started, _}}}) -> "already_started";
answer({reply, {error, {{already_started, _}, _}}}) -> "already_started"; % wrapped, before OTP 26 or so
answer({reply, {error, A}}) when is_atom(A), A =/= nope -> atom_to_list(A);
answer({reply, {error, _}}) -> "error";
answer({error, _}) -> "noproc".

release(#w{tab = Tab}, P) ->
    [ets:insert(Tab, {{script, P}, [O || O <- Os, O =/= <<"block">>]}) || {_, Os} <- ets:lookup(Tab, {script, P})],
    [begin ets:delete(Tab, {blocked, P}), Pid ! {release, P} end || {_, Pid} <- ets:lookup(Tab, {blocked, P})].

release_all(#w{tab = Tab} = W) -> [release(W, P) || [P] <- ets:match(Tab, {{script, '$1'}, '_'})].

%% buried waits until nothing of the case lives.
buried(D0) ->
    D = drain(D0),
    case D#d.exit =/= none andalso ets:match(D#d.w#w.tab, {{who, '$1'}, '_'}) of
        [] -> D;
        _ -> timer:sleep(1), buried(D)
    end.

%%% Children

tree(W, Who, T) ->
    dynamic(T) andalso ets:insert(W#w.tab, {{dynamic, Who#who.path}}),
    {ok, {#{strategy => atom(<<"strategy">>, T, one_for_one), intensity => maps:get(<<"intensity">>, T, 1),
            period => maps:get(<<"period">>, T, 5), auto_shutdown => atom(<<"auto_shutdown">>, T, never)},
          [case dynamic(T) of
               true -> template(W, Who, C);
               false -> spec(W, below(Who, maps:get(<<"id">>, C)), C)
           end || C <- maps:get(<<"children">>, T, [])]}}.

below(#who{path = P} = Who, Id) -> Who#who{path = join(P, Id)}.

template(W, #who{path = P, slot = Slot} = Who, C) ->
    Start = fun(Id) ->
        Path = join(P, Id),
        start(W, case Slot of none -> #who{path = Path, pool = P, slot = Path}; _ -> Who#who{path = Path} end, C)
    end,
    (settings(C))#{id => template, start => {erlang, apply, [Start]}}.

spec(W, #who{path = P} = Who, C) ->
    {_, Id} = parent(P),
    (settings(C))#{id => Id, start => {erlang, apply, [fun() -> start(W, Who, C) end, []]}}.

settings(C) ->
    Type = case maps:is_key(<<"tree">>, C) of true -> supervisor; false -> atom(<<"type">>, C, worker) end,
    Spec = #{restart => atom(<<"restart">>, C, permanent), type => Type, significant => maps:get(<<"significant">>, C, false)},
    case C of
        #{<<"shutdown">> := Ms} when is_integer(Ms) -> Spec#{shutdown => Ms};
        #{<<"shutdown">> := Word} -> Spec#{shutdown => binary_to_atom(Word)};
        _ -> Spec
    end.

%% start runs in the supervisor.
start(W, #who{path = P} = Who, C) ->
    case outcome(W, P) of
        <<"fail">> -> tell(W, "startfail", Who), {error, nope};
        <<"taken">> -> tell(W, "taken", Who), {error, {already_started, self()}};
        <<"ignore">> -> tell(W, "ignore", Who), ignore;
        <<"raise">> -> tell(W, "raise", Who), error(raised_as_told);
        <<"ok">> ->
            case run(W, Who, C) of
                {ok, Pid} -> started(W, Who, Pid, maps:is_key(<<"tree">>, C));
                Failure -> tell(W, "startfail", Who), Failure
            end
    end.

run(W, Who, #{<<"tree">> := T}) -> supervisor:start_link(?MODULE, tree(W, Who, T));
run(W, Who, C) ->
    Parent = self(),
    Manner = maps:get(<<"on_stop">>, C, <<"shutdown">>),
    Pid = spawn_link(fun() -> process_flag(trap_exit, true), Parent ! {ready, self()}, live(W, Who, Parent, Manner) end),
    maps:get(<<"shutdown">>, C, 5000) =:= <<"brutal_kill">> andalso ets:insert(W#w.tab, {{meant, Pid}}),
    receive {ready, Pid} -> {ok, Pid} end.

started(#w{tab = Tab} = W, #who{path = P} = Who, Pid, Nested) ->
    erlang:trace(Pid, true, [procs, strict_monotonic_timestamp, {tracer, W#w.driver}]),
    ets:insert(Tab, [{{who, Pid}, Who}, {{child, P}, Pid}]),
    case Nested of
        true -> ets:insert(Tab, {{sup, P}, Pid});
        false -> ets:insert(Tab, {{worker, P}, Pid, self()})
    end,
    tell(W, "start", Who),
    {ok, Pid}.

live(W, Who, Parent, Manner) ->
    receive
        {die, R} -> exit(R);
        {'EXIT', Parent, shutdown} ->
            tell(W, "stop", Who),
            Manner =:= <<"ignore">> orelse exit(reason(Manner)),
            meant(W),
            live(W, Who, Parent, Manner);
        {'EXIT', Parent, R} -> meant(W), exit(R) % the parent died, and its children with it
    end.

%% meant says that this worker may end killed. A supervisor kills any other one because that was too slow to hear of its shutdown.
meant(#w{tab = Tab}) -> catch ets:insert(Tab, {{meant, self()}}).

outcome(#w{tab = Tab} = W, P) ->
    case ets:lookup(Tab, {script, P}) of
        [{_, [<<"block">> | Rest]}] ->
            ets:insert(Tab, [{{script, P}, Rest}, {{blocked, P}, self()}]),
            tell(W, "block", #who{path = P}),
            receive {release, P} -> outcome(W, P) end;
        [{_, [O | Rest]}] -> ets:insert(Tab, {{script, P}, Rest}), O;
        _ -> <<"ok">>
    end.

%% tell numbers events in the order in which they happen, whoever they happen to.
tell(#w{driver = D}, Verb, Who) -> D ! #ev{at = erlang:unique_integer([monotonic]), verb = Verb, who = Who}.

%%% Rest

%% rest waits until two looks in a row see the same and nothing that moves; it returns what happened until then.
rest(D, Head) -> rest(D, iolist_to_binary(Head), none).

rest(D0, Head, Last) ->
    D = drain(D0),
    case look(D) of
        {still, State} when {State, length(D#d.events)} =:= Last ->
            Told = [Head] ++ [line(E) || E <- canonical(Head, lists:keysort(#ev.at, D#d.events))]
                ++ [io_lib:format("  answer ~b: ~s", [N, A]) || {N, A} <- lists:sort(D#d.answers)]
                ++ (State -- D#d.state),
            {D#d{events = [], answers = [], state = State}, Told};
        {still, State} -> timer:sleep(1), rest(D, Head, {State, length(D#d.events)});
        moving -> timer:sleep(1), rest(D, Head, none)
    end.

%% drain takes in what has come. A late answer to which_children is among it, and of no interest.
drain(D) ->
    receive M -> drain(took(M, D)) after 0 -> D end.

took(#ev{} = E, D) -> D#d{events = [E | D#d.events]};
took({trace_ts, Pid, exit, Reason, {_, At}}, #d{w = #w{tab = Tab}} = D) ->
    [{_, Who}] = ets:take(Tab, {who, Pid}),
    Reason =:= killed andalso ets:member(Tab, {worker, Who#who.path}) andalso not ets:member(Tab, {meant, Pid})
        andalso ets:insert(Tab, {unheard}),
    ets:delete_object(Tab, {{sup, Who#who.path}, Pid}),
    D#d{events = [#ev{at = At, verb = "down", who = Who, detail = [$\s, kind(Reason)]} | D#d.events]};
took({boot, Result}, D) -> D#d{boot = Result};
took({root_exit, Reason}, #d{w = #w{tab = Tab}} = D) -> ets:delete(Tab, {sup, <<>>}), D#d{exit = Reason};
took(M, #d{pending = Pending} = D) ->
    lists:foldl(fun({N, Path, Req}, #d{pending = Ps, answers = As} = Acc) ->
        case gen_server:check_response(M, Req) of
            no_reply -> Acc#d{pending = [{N, Path, Req} | Ps]};
            Answer -> Acc#d{answers = [{N, answer(Answer)} | As]}
        end
    end, D#d{pending = []}, Pending).

%% look describes the supervisors that live, or says that something still moves.
look(#d{boot = {error, _}}) -> {still, []};
look(#d{exit = E}) when E =/= none -> {still, []};
look(#d{w = #w{tab = Tab}, boot = Boot} = D) ->
    Gates = [P || [P] <- ets:match(Tab, {{blocked, '$1'}, '_'})],
    Waits = [N || {N, Path, _} <- D#d.pending, not busy(Path, Gates)],
    Dead = [Pid || [Pid] <- ets:match(Tab, {{who, '$1'}, '_'}), not is_process_alive(Pid)],
    case {Boot, Gates} of
        _ when Waits =/= []; Dead =/= [] -> moving;
        {none, []} -> moving;
        {_, []} when D#d.stopped -> moving;
        {none, _} -> describe_all(D, sups(Tab), Gates, ["  / starting"]);
        _ -> describe_all(D, sups(Tab), Gates, [])
    end.

sups(Tab) -> lists:sort([{P, Pid} || [P, Pid] <- ets:match(Tab, {{sup, '$1'}, '$2'})]).

%% busy says whether a start is blocked somewhere below the supervisor at Path.
busy(<<>>, Gates) -> Gates =/= [];
busy(Path, Gates) -> lists:any(fun(G) -> string:prefix(G, [Path, $/]) =/= nomatch end, Gates).

describe_all(_, [], _, State) -> {still, lists:reverse(State)};
describe_all(D, [{P, Pid} | Rest], Gates, State) ->
    case busy(P, Gates) orelse describe(D#d.w, P, Pid) of
        true -> describe_all(D, Rest, Gates, [["  /", P, " busy"] | State]);
        moving -> moving;
        Line -> describe_all(D, Rest, Gates, [Line | State])
    end.

describe(#w{tab = Tab} = W, P, Sup) ->
    case {ask(W, P, Sup, which_children), ask(W, P, Sup, count_children)} of
        {{reply, Kids}, {reply, Counts}} ->
            Moving = lists:any(fun({_, K, _, _}) -> K =:= restarting orelse is_pid(K) andalso not is_process_alive(K) end, Kids),
            Words = case ets:member(Tab, {dynamic, P}) of
                true -> lists:sort([[Id, " up"] || {_, K, _, _} <- Kids, {_, Id} <- [label(Tab, K)]]);
                false -> [[Id, case K of undefined -> " undefined"; _ -> " up" end] || {Id, K, _, _} <- lists:reverse(Kids)]
            end,
            case Moving of
                true -> moving;
                false -> ["  /", P, $\s, lists:join(", ", Words), "; " | counts(Counts)]
            end;
        _ -> moving
    end.

label(Tab, Pid) ->
    case ets:lookup(Tab, {who, Pid}) of
        [{_, #who{path = P}}] -> parent(P);
        [] -> gone
    end.

counts(C) ->
    io_lib:format("active ~b, supervisors ~b, workers ~b", [proplists:get_value(K, C) || K <- [active, supervisors, workers]]).

%% ask waits for the answer of a supervisor unless that blocks in a start meanwhile.
ask(W, P, Sup, What) -> answered(W, P, gen_server:send_request(Sup, What)).

answered(#w{tab = Tab} = W, P, Req) ->
    case gen_server:wait_response(Req, 5) of
        timeout ->
            case busy(P, [G || [G] <- ets:match(Tab, {{blocked, '$1'}, '_'})]) of
                true -> blocked;
                false -> answered(W, P, Req)
            end;
        Answer -> Answer
    end.

line(#ev{verb = V, who = #who{path = P}, detail = R}) -> ["  ", V, $\s, P, R].

%% canonical sorts what happened in parallel. After a release, each supervisor goes on for itself. And within an unbroken
%% run of ends below one simple_one_for_one, one child's come after the other's.
canonical(Head, Events) ->
    case string:find(Head, "release") of
        nomatch -> canonical(Events);
        _ -> canonical([E || {_, E} <- lists:keysort(1, [{element(1, parent(P)), E} || #ev{who = #who{path = P}} = E <- Events])])
    end.

canonical([]) -> [];
canonical([#ev{who = #who{pool = Pool}} = E | Rest] = All) ->
    case lists:splitwith(fun(#ev{verb = V, who = #who{pool = P}}) -> (V =:= "stop" orelse V =:= "down") andalso P =:= Pool end, All) of
        {[_ | _] = Run, After} when Pool =/= none ->
            [R || {_, R} <- lists:keysort(1, [{S, R} || #ev{who = #who{slot = S}} = R <- Run])] ++ canonical(After);
        _ -> [E | canonical(Rest)]
    end.

%%% Words

dynamic(T) -> maps:get(<<"strategy">>, T, none) =:= <<"simple_one_for_one">>.

atom(Key, M, Default) ->
    case M of
        #{Key := Word} -> binary_to_atom(Word);
        _ -> Default
    end.

join(<<>>, Id) -> Id;
join(Path, Id) -> <<Path/binary, $/, Id/binary>>.

parent(P) ->
    case string:split(P, "/", trailing) of
        [Path, Id] -> {Path, Id};
        [Id] -> {<<>>, Id}
    end.

%%% JSON, as far as cases need it (otptrace checks them)

cases(Text, Cases) ->
    case space(Text) of
        <<>> -> lists:reverse(Cases);
        Rest -> {Case, Left} = value(Rest), cases(Left, [Case | Cases])
    end.

space(<<C, Rest/binary>>) when C =:= $\s; C =:= $\n; C =:= $\r; C =:= $\t -> space(Rest);
space(Text) -> Text.

value(<<"{", Rest/binary>>) -> members(space(Rest), #{});
value(<<"[", Rest/binary>>) -> elements(space(Rest), []);
value(<<"\"", Rest/binary>>) -> text(Rest, <<>>);
value(<<"null", Rest/binary>>) -> {null, Rest};
value(<<"true", Rest/binary>>) -> {true, Rest};
value(<<"false", Rest/binary>>) -> {false, Rest};
value(Text) ->
    case string:to_integer(Text) of
        {N, Rest} when is_integer(N) -> {N, Rest};
        _ -> throw({json, Text})
    end.

members(<<"}", Rest/binary>>, M) -> {M, Rest};
members(<<",", Rest/binary>>, M) -> members(space(Rest), M);
members(<<"\"", Rest/binary>>, M) ->
    {Key, AfterKey} = text(Rest, <<>>),
    case space(AfterKey) of
        <<":", Of/binary>> ->
            case value(space(Of)) of
                {null, Left} -> members(space(Left), M); % as if it were absent
                {V, Left} -> members(space(Left), M#{Key => V})
            end;
        Text -> throw({json, Text})
    end;
members(Text, _) -> throw({json, Text}).

elements(<<"]", Rest/binary>>, L) -> {lists:reverse(L), Rest};
elements(<<",", Rest/binary>>, L) -> elements(space(Rest), L);
elements(Text, L) -> {V, Left} = value(Text), elements(space(Left), [V | L]).

%% text reads a string; the words of a case need no escapes.
text(<<"\"", Rest/binary>>, Got) -> {Got, Rest};
text(<<C, Rest/binary>>, Got) when C =/= $\\ -> text(Rest, <<Got/binary, C>>);
text(Text, _) -> throw({json, Text}).
