%% Takes orders, a process each; `leaky` keeps the processes of those that were answered waiting for ever.
%% Run as: erl -noinput -s orders main leaky
-module(orders).
-export([main/1, wait/2, lives/1]).

-define(MINUTES, 20).

main([Mode]) ->
    take(Mode, erlang:monotonic_time(second) + ?MINUTES * 60).

take(Mode, End) ->
    Order = spawn(?MODULE, wait, [make_ref(), lists:seq(1, 2000)]),
    case Mode of
        leaky -> ok;
        fixed -> Order ! answered
    end,
    timer:sleep(25),
    case erlang:monotonic_time(second) < End of
        true -> take(Mode, End);
        false -> init:stop()
    end.

wait(Ref, Items) ->
    receive
        answered -> {Ref, length(Items)}
    end.

%% Starts so many processes and says how many things there are, as JSON.
lives([Count]) ->
    [spawn(?MODULE, wait, [make_ref(), [N]]) || N <- lists:seq(1, list_to_integer(atom_to_list(Count)))],
    io:format("{\"processes\":~b,\"atoms\":~b,\"ports\":~b}~n", [
        erlang:system_info(process_count), erlang:system_info(atom_count), erlang:system_info(port_count)
    ]).
