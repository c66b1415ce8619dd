%% @doc Invalid arguments for the callbacks of caravan_epmd.
-module(caravan_test_hostile).

-export([failures/0, failures/1, texts/0]).
-export([is_address/1, is_listen_port/1, is_port_answer/1]).

-define(LOCALHOST, {127, 0, 0, 1}).

%% @doc Returns the calls that raised, left a message or returned an undocumented value.
-spec failures() -> [term()].
failures() ->
    failures(checks()).

%% @doc Like failures/0, for the given functions, each of which takes any term and returns whether the call behaved well.
-spec failures([fun((term()) -> boolean())]) -> [{Check :: pos_integer(), term(), term()}].
failures(Checks) ->
    %% Ports are chosen where no node of another test listens.
    ok = application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 77}),
    Calls = [{Term, Number, spawn_monitor(fun() -> exit({Check(Term), process_info(self(), messages)}) end)}
             || Term <- texts() ++ other_terms(), {Number, Check} <- lists:enumerate(Checks)],
    Results = [receive {'DOWN', Monitor, process, Pid, Result} -> {Number, Term, Result} end
               || {Term, Number, {Pid, Monitor}} <- Calls],
    ok = application:unset_env(kernel, inet_dist_use_interface),
    [Failed || {_, _, Result} = Failed <- Results, Result =/= {true, {messages, []}}].

checks() ->
    [fun(Term) -> is_listen_port(caravan_epmd:listen_port_please(Term, Term)) end,
     fun(Term) -> is_registered(caravan_epmd:register_node(Term, Term)) end,
     fun(Term) -> is_registered(caravan_epmd:register_node('app1', 4834, Term)) end,
     fun(Term) -> is_registered(caravan_epmd:register_node(Term, Term, Term)) end,
     fun(Term) -> is_address(caravan_epmd:address_please(Term, "127.0.0.1", inet)) end,
     fun(Term) -> is_address(caravan_epmd:address_please(Term, "host.test", inet)) end,
     fun(Term) -> is_address(caravan_epmd:address_please("app1", Term, inet)) end,
     fun(Term) -> is_address(caravan_epmd:address_please("app1", "host.test", Term)) end,
     fun(Term) -> is_address(caravan_epmd:address_please(Term, Term, Term)) end,
     fun(Term) -> is_port_answer(caravan_epmd:port_please(Term, Term)) end,
     fun(Term) -> is_port_answer(caravan_epmd:port_please(Term, Term, Term)) end,
     fun(Term) -> is_names(caravan_epmd:names(Term)) end].

is_registered(Answer) -> Answer =:= {ok, -1} orelse Answer =:= {error, duplicate_name}.

is_names({ok, Names}) -> lists:all(fun({Name, Port}) -> is_list(Name) andalso is_port_number(Port) end, Names);
is_names({error, Reason}) -> is_atom(Reason).

-spec is_listen_port(term()) -> boolean().
is_listen_port({ok, Port}) -> is_port_number(Port);
is_listen_port({error, {caravan, Line}}) -> lists:prefix("caravan: ", Line).

-spec is_address(term()) -> boolean().
is_address({ok, Ip, Port, 6}) -> inet:is_ip_address(Ip) andalso is_port_number(Port);
is_address({error, Reason}) -> is_atom(Reason).

-spec is_port_answer(term()) -> boolean().
is_port_answer({port, Port, 6}) -> is_port_number(Port);
is_port_answer(noport) -> true.

is_port_number(Port) -> is_integer(Port) andalso Port >= 0 andalso Port =< 65535.

-spec texts() -> [term()].
texts() ->
    ['', undefined, '@', 'a@b@c-1', 'узел-4370', list_to_atom([0]),
     list_to_atom(lists:duplicate(255, 16#1F4A3)),
     "", "@", "-", "9", "..", "a..b", "127.0.0.1.", "::1%lo", "a\0b-4370", "узел-4370",
     "a." ++ lists:duplicate(63, $b) ++ "." ++ lists:duplicate(300, $c),
     lists:duplicate(1000000, $a), lists:duplicate(1000000, $9), [$a | lists:duplicate(1000, 16#10FFFF)],
     [-1], [16#D800], [16#110000], [1 bsl 70, $a],
     <<>>, <<0>>, <<255, 254>>, <<"app-4370"/utf16>>, binary:copy(<<"9">>, 1000000)].

other_terms() ->
    [0, -1, 1.5, 1 bsl 70, -(1 bsl 70), self(), make_ref(), hd(erlang:ports()), fun() -> ok end,
     fun erlang:node/0, #{}, #{name => "app"}, <<1:3>>,
     {}, {1, 2, 3}, {1, 2, 3, 256}, {-1, 0, 0, 0}, {a, b, c, d}, {0, 0, 0, 0, 0, 0, 0, 65536},
     {1, 2, 3, 4, 5, 6, 7, 8, 9},
     [[]], [a, b], ["a" | b], [$a | $b], [$a, {}], [1.0], ["app-4370", <<"x">>]].
