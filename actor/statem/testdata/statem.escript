#!/usr/bin/env escript
%% statem.escript plays programs for a state machine on gen_statem of Erlang/OTP, as the tests of package statem play
%% them on that. Plays come on stdin, in the text of case_test.go, each after a line "play"; of each the trace goes to
%% stdout as one line, in the same order. The plays run side by side, so that their waits overlap.
%%
%%     escript statem.escript 1266 5000 < plays       ms between bursts, ms of a play
-mode(compile).
-export([init/1, callback_mode/0, handle_event/4]).

-record(data, {enter, on, done = #{}, trace = []}).

main([Apart, End]) ->
    logger:set_primary_config(level, none),
    Times = {list_to_integer(Apart), list_to_integer(End)},
    Runs = [spawn_monitor(fun() -> exit({trace, play(P, Times)}) end) || P <- plays(read([]), [])],
    [receive
         {'DOWN', Ref, _, _, {trace, Trace}} -> io:format("~s~n", [lists:join(" ", Trace)]);
         {'DOWN', Ref, _, _, Why} -> io:format("crash: ~0p~n", [Why])
     end || {_, Ref} <- Runs].

%% Reading.

read(Got) ->
    case io:get_line("") of
        eof -> lists:reverse(Got);
        Line -> read([string:trim(Line) | Got])
    end.

plays([], All) -> lists:reverse(All);
plays(["play" | Lines], All) ->
    {Of, Rest} = lists:splitwith(fun(L) -> L =/= "play" end, Lines),
    plays(Rest, [[parse(string:split(L, ";", all)) || L <- Of, L =/= ""] | All]).

parse([What, N, Text]) ->
    {list_to_atom(What), list_to_integer(N),
     case What of
         "burst" -> [list_to_integer(S) || S <- string:lexemes(Text, " ")];
         _ -> [action(string:lexemes(A, " ")) || A <- string:lexemes(Text, ",")]
     end}.

action([Verb | Args]) -> action(Verb, [list_to_integer(A) || A <- Args]).

action("goto", [S]) -> {goto, S};
action("repeat", []) -> repeat;
action("postpone", []) -> postpone;
action("next", [N]) -> {next_event, internal, N};
action("u" ++ At, [N]) -> {timer(At), update, N};
action("c" ++ At, []) -> {timer(At), cancel};
action(At, [Ms, N]) -> {timer(At), Ms, N}.

timer("state") -> state_timeout;
timer("event") -> timeout;
timer(Name) -> {timeout, Name}.

%% Playing.

play(P, {Apart, End}) ->
    Began = erlang:monotonic_time(millisecond),
    {ok, Pid} = gen_statem:start(?MODULE, P, []),
    Bursts = [{Hold, Send} || {burst, Hold, Send} <- P],
    _ = lists:foldl(fun(B, At) -> wait(Began + At), burst(Pid, B), At + Apart end, 0, Bursts),
    wait(Began + End),
    {_, #data{trace = Trace}} = sys:get_state(Pid),
    exit(Pid, kill),
    lists:reverse(Trace).

wait(Until) -> timer:sleep(max(0, Until - erlang:monotonic_time(millisecond))).

burst(Pid, {Hold, Send}) ->
    ok = sys:suspend(Pid),
    [if N < 0 -> Pid ! {event, -N}; true -> gen_statem:cast(Pid, N) end || N <- Send],
    timer:sleep(Hold),
    ok = sys:resume(Pid).

%% The machine.

callback_mode() -> [handle_event_function, state_enter].

init(P) ->
    On = lists:foldl(fun({on, N, A}, M) -> maps:update_with(N, fun(L) -> L ++ [A] end, [A], M);
                        (_, M) -> M
                     end, #{}, P),
    {ok, 0, #data{enter = maps:from_list([{S, A} || {enter, S, A} <- P]), on = On}}.

handle_event(enter, Old, State, D) ->
    {keep_state, log(D, [integer_to_list(Old), ">", integer_to_list(State)]), maps:get(State, D#data.enter, [])};
handle_event(Type, Content, State, #data{on = On, done = Done} = D0) ->
    {How, N} = case {Type, Content} of
        {cast, C} -> {"", C};
        {info, {event, C}} -> {"!", C};
        {internal, C} -> {"i", C};
        {state_timeout, C} -> {"state", C};
        {timeout, C} -> {"event", C};
        {{timeout, Name}, C} -> {Name, C}
    end,
    Times = maps:get(N, Done, 0),
    D = log(D0#data{done = Done#{N => Times + 1}}, [integer_to_list(State), ":", How, integer_to_list(N)]),
    Asked = case maps:get(N, On, []) of
        L when Times < length(L) -> lists:nth(Times + 1, L);
        _ -> []
    end,
    Actions = [A || A <- Asked, A =/= repeat, not is_goto(A)],
    case {lists:last([State | [S || {goto, S} <- Asked]]), lists:member(repeat, Asked)} of
        {State, true} -> {repeat_state, D, Actions};
        {Next, _} -> {next_state, Next, D, Actions}
    end.

is_goto({goto, _}) -> true;
is_goto(_) -> false.

log(#data{trace = T} = D, Text) -> D#data{trace = [Text | T]}.
