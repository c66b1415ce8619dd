%% @private
%% The result of one step of the doctor.
-module(caravan_check).

-export([ok/4, note/4, fault/4, unknown/4, not_looked_at/2, count/2]).

-export_type([check/0, state/0, step/0]).

-type step() :: library | flags | node | cookie | nameserver | answer | names | self | peer | topology | helper_ports.

%% `note': worth attention, but no fault. `unknown': could not be found out. `not_looked_at': there was no time, or an
%% earlier fault prevented the step.
-type state() :: ok | note | fault | unknown | not_looked_at.

-type check() :: #{
    step := step(),
    state := state(),
    subject := binary(),
    seen := binary(),
    %% Facts for the JSON report.
    facts => #{atom() => caravan_json:value()},
    cause => caravan_cause:cause()
}.

-spec ok(step(), Subject :: unicode:chardata() | term(), io:format(), [term()]) -> check().
ok(Step, Subject, Format, Arguments) -> new(Step, ok, Subject, Format, Arguments).

-spec note(step(), Subject :: unicode:chardata() | term(), io:format(), [term()]) -> check().
note(Step, Subject, Format, Arguments) -> new(Step, note, Subject, Format, Arguments).

-spec unknown(step(), Subject :: unicode:chardata() | term(), io:format(), [term()]) -> check().
unknown(Step, Subject, Format, Arguments) -> new(Step, unknown, Subject, Format, Arguments).

-spec not_looked_at(step(), Subject :: unicode:chardata() | term()) -> check().
not_looked_at(Step, Subject) -> new(Step, not_looked_at, Subject, "not looked at", []).

-spec fault(step(), Subject :: unicode:chardata() | term(), Seen :: unicode:chardata(), caravan_cause:cause()) -> check().
fault(Step, Subject, Seen, Cause) -> (new(Step, fault, Subject, "~ts", [Seen]))#{cause => Cause}.

%% Formats a count with its noun, such as "1 node" and "2 nodes".
-spec count(non_neg_integer(), Word :: string()) -> iodata().
count(1, Word) -> ["1 ", Word];
count(Count, Word) -> [integer_to_list(Count), $\s, Word, $s].

new(Step, State, Subject, Format, Arguments) ->
    #{step => Step, state => State, subject => text("~ts", [Subject]), seen => text(Format, Arguments)}.

text(Format, Arguments) ->
    unicode:characters_to_binary(io_lib:format(Format, Arguments)).
