%% @private
%% Logs the name and the port of the node when its distribution starts.
-module(caravan_announce).

-export([digits_ignored/2, spelling/1, expected_spelling/1, after_boot/1, port/1, port_at_run_time/1, changed_port/2, not_in_epmd/3]).
-export([port_in_use/3, bad_listen_port/1, cannot_listen/1, line/1]).
-export([format/1]).

%% Logs that the digits at the end of the name are not its port; see caravan_port:ignores_digits/1.
-spec digits_ignored(atom() | string(), inet:port_number()) -> ok.
digits_ignored(Name, Port) ->
    log(warning, digits_ignored, #{name => Name, port => Port}).

%% Logs a warning if topologies that find this node in DNS spell its name in another way. DNS does not distinguish upper case
%% from lower case and ignores a trailing dot, whereas OTP compares names letter by letter. Topologies write hosts in lower
%% case and without the dot. Short names are never made from records.
-spec spelling(atom() | string()) -> ok.
spelling(Name) ->
    Text = unicode:characters_to_binary(lists:concat([Name])),
    case expected_spelling(Text) of
        Text -> ok;
        Expected -> log(warning, name_spelling, #{name => Name, expected => unicode:characters_to_list(Expected)})
    end.

%% Returns the name as topologies spell it when they make it from records.
-spec expected_spelling(binary()) -> binary().
expected_spelling(Name) ->
    case binary:split(Name, <<"@">>) of
        [Before, Host] ->
            Text = unicode:characters_to_list(Host),
            unicode:characters_to_binary([Before, "@", as_of_records(Text, is_long(Text))]);
        [_NoHost] ->
            Name
    end.

is_long(Host) ->
    lists:any(fun(Character) -> lists:member(Character, ".:") end, Host).

as_of_records(Host, false) ->
    Host;
as_of_records(Host, true) ->
    case inet:parse_ipv6strict_address(Host) of
        {ok, Ip} -> inet:ntoa(Ip);
        {error, einval} -> string:lowercase(string:trim(Host, trailing, "."))
    end.

%% Logs what could not be logged while the system booted, when there is no handler yet and each entry appears twice.
-spec after_boot(atom()) -> ok.
after_boot(Name) ->
    ok = digits(caravan_port:ignores_digits(Name), Name, caravan_listen:actual_port()),
    port(Name).

digits(true, Name, Port) when is_integer(Port) -> digits_ignored(Name, Port);
digits(_IsIgnored, _Name, _Port) -> ok.

%% Logs one line at each start of the distribution: where the node listens, and where others look for it. A node with a
%% helper's name that runs the application logs it, too, since it may be an ordinary member of the cluster with an unlucky
%% name.
-spec port(atom()) -> ok.
port(Name) ->
    ok = spelling(Name),
    tell_of_ports(Name, caravan_listen:port(Name), caravan_listen:actual_port(), caravan_port:explain(Name)).

%% Like port/1, but silent for helpers: tools that are scripts, such as rabbitmqctl, start the distribution at run time.
-spec port_at_run_time(atom()) -> ok.
port_at_run_time(Name) ->
    case caravan_port:of_name(Name) of
        {_, helper} -> ok;
        _ -> port(Name)
    end.

%% The node does not listen (`-dist_listen false').
tell_of_ports(_Name, _Listen, none, _Explained) ->
    ok;
%% The variable that `listen_port' names was unset or changed after the distribution started, so the port that it named at
%% that time is unknown.
tell_of_ports(_Name, {error, _}, _Actual, _Explained) ->
    ok;
%% `listen_port' was changed after the distribution started, as in runtime.exs. 0 means any port.
tell_of_ports(Name, {Port, listen_port}, Actual, _Explained) when Port =/= Actual, Port =/= 0 ->
    log(error, late_listen_port, #{name => Name, port => Actual, listen_port => Port});
tell_of_ports(Name, {_Port, Rule}, Actual, #{rule := Asked}) when Asked =:= port_srv; Asked =:= epmd ->
    log(notice, listening, #{
        name => Name, port => Actual, rule => Rule, source => caravan_port:source(Rule),
        advertised_rule => Asked, advertised_source => caravan_port:source(Asked)
    });
tell_of_ports(Name, {_Port, helper}, Actual, _Explained) ->
    {_, {helper, Pattern}} = caravan_nif:port_choice(Name),
    log(notice, listening, #{name => Name, port => Actual, rule => helper, pattern => Pattern});
tell_of_ports(Name, {_Port, Rule}, Actual, #{port := Advertised, rule := NameRule}) ->
    log(notice, listening, #{
        name => Name, port => Actual, rule => Rule, source => caravan_port:source(Rule),
        advertised_port => Advertised, advertised_rule => NameRule, advertised_source => caravan_port:source(NameRule)
    }).

%% Logs why the node cannot listen. Only for a distribution that is started at run time, for which OTP returns no more than
%% `nodistribution'. During boot the line goes to standard error and ends the boot.
-spec cannot_listen(caravan_log:report()) -> ok.
cannot_listen(Report) ->
    caravan_log:report(error, Report, fun ?MODULE:format/1).

-spec port_in_use(atom() | string(), inet:port_number(), caravan_listen:rule()) -> caravan_log:report().
port_in_use(Name, Port, Rule) ->
    #{
        event => port_in_use, name => Name, port => Port, rule => Rule, source => caravan_port:source(Rule),
        holder => caravan_port_holder:find(Port)
    }.

-spec bad_listen_port(caravan_option:error()) -> caravan_log:report().
bad_listen_port(Error) ->
    #{event => bad_listen_port, error => Error}.

-spec line(caravan_log:report()) -> string().
line(Report) ->
    {Format, Arguments} = format(Report),
    lists:flatten(io_lib:format(Format, Arguments)).

way_out(Name, Port, Rule) when Rule =:= name; Rule =:= default_port ->
    io_lib:format("stop that process, or give this node a name that ends in another port, such as ~ts-~b", [basename(Name), Port + 1]);
way_out(_Name, _Port, helper) ->
    "try again: each start of a helper gets another name, and with it another port";
way_out(_Name, _Port, Rule) ->
    io_lib:format("stop that process, or set ~ts to another port", [Rule]).

basename(Name) ->
    Text = hd(string:split(lists:concat([Name]), "@")),
    string:trim(string:trim(Text, trailing, "0123456789"), trailing, "-").

%% Logs that a change of the configuration after the start of the distribution makes others look for the node at another
%% port.
-spec changed_port(Before :: inet:port_number(), After :: inet:port_number()) -> ok.
changed_port(Before, After) ->
    log(error, late_port, #{port => Before, advertised_port => After}).

%% Logs that the node could not be registered in epmd, although `fallback' is `epmd'.
-spec not_in_epmd(atom() | string(), inet:port_number(), Reason :: term()) -> ok.
not_in_epmd(Name, Port, Reason) ->
    log(warning, not_in_epmd, #{name => Name, port => Port, reason => Reason}).

log(Level, Event, Facts) ->
    caravan_log:report(Level, Facts#{event => Event}, fun ?MODULE:format/1).

%% Formats an event for the log. Called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := digits_ignored, name := Name, port := Port}) ->
    {
        "caravan: the digits at the end of the node name ~ts are not a port within port_range; the node listens on port ~b",
        [Name, Port]
    };
format(#{event := port_in_use, name := Name, port := Port, rule := Rule, holder := Holder} = Report) ->
    {"caravan: ~ts cannot listen on port ~b (~ts): eaddrinuse, ~ts listens there; ~ts", [
        Name, Port, rule(Rule, Port, source, Report), caravan_port_holder:format(Holder), way_out(Name, Port, Rule)
    ]};
format(#{event := bad_listen_port, error := Error}) ->
    {"~ts", [caravan_option:format_error(Error)]};
format(#{event := late_listen_port, name := Name, port := Port, listen_port := Late}) ->
    {
        "caravan: ~ts listens on port ~b, but listen_port now says ~b; "
        "set it where it is read before the distribution starts: vm.args, sys.config or config.exs",
        [Name, Port, Late]
    };
format(#{
    event := listening, name := Name, port := Port, rule := Rule, advertised_port := Advertised, advertised_rule := NameRule
} = Report) ->
    {
        "caravan: ~ts listens on port ~b (~ts); other nodes look for it at port ~b (~ts)",
        [Name, Port, rule(Rule, Port, source, Report), Advertised, rule(NameRule, Advertised, advertised_source, Report)]
    };
format(#{event := listening, name := Name, port := Port, rule := Rule, advertised_rule := Asked} = Report) ->
    {"caravan: ~ts listens on port ~b (~ts); other nodes find its port by ~ts", [
        Name, Port, rule(Rule, Port, source, Report), rule(Asked, Port, advertised_source, Report)
    ]};
format(#{event := listening, name := Name, port := Port, rule := helper, pattern := Pattern}) ->
    {
        "caravan: ~ts listens on port ~b, where other nodes look for it: its name is that of a helper (pattern ~ts), "
        "and the port of a helper is the hash of its name",
        [Name, Port, Pattern]
    };
format(#{event := late_port, port := Port, advertised_port := Late}) ->
    {
        "caravan: the node listens on port ~b, but by the current default_port, port_range and port_in_name other nodes look "
        "for it at port ~b; set these keys where they are read before the distribution starts: vm.args, sys.config or config.exs",
        [Port, Late]
    };
format(#{event := name_spelling, name := Name, expected := Expected}) ->
    {
        "caravan: this node is called ~ts, but topologies that find it in DNS connect to ~ts, which is another node to OTP; "
        "start it as ~ts",
        [Name, Expected, Expected]
    };
format(#{event := not_in_epmd, name := Name, port := Port, reason := Reason}) ->
    {"caravan: ~ts, on port ~b, is not registered in epmd (~0tp); ordinary nodes do not find it", [Name, Port, Reason]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.

%% Names the rule, and the source of its value unless that is the default.
rule(name, Port, _SourceKey, _Report) ->
    io_lib:format("by the digits ~b at the end of its name", [Port]);
rule(Rule, _Port, SourceKey, Report) ->
    case maps:get(SourceKey, Report, default) of
        default -> atom_to_list(Rule);
        Source -> io_lib:format("~ts: ~ts", [Rule, caravan_config:format_source(Source)])
    end.
