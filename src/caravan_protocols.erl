%% @private
%% The protocols of the distribution, `-proto_dist', in the order in which net_kernel takes them.
-module(caravan_protocols).

-export([names/0, are_several/0, first_family/0, family/1]).

-spec names() -> [string(), ...].
names() ->
    case init:get_argument(proto_dist) of
        {ok, [[_ | _] = Names | _]} -> Names;
        _ -> ["inet_tcp"]
    end.

-spec are_several() -> boolean().
are_several() ->
    length(names()) > 1.

-spec first_family() -> inet | inet6.
first_family() ->
    family(hd(names())).

%% Also of what register_node/3 is given: the family itself, or until OTP 25 the driver.
-spec family(string()) -> inet | inet6.
family("inet6" ++ _) -> inet6;
family(_) -> inet.
