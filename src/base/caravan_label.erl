%% @private
%% What a process is called in observer, in the shell and in crash reports. OTP 27 has labels; before it nothing happens.
-module(caravan_label).

-export([set/1]).

-spec set(term()) -> ok.
set(Label) ->
    set(proc_lib, erlang:function_exported(proc_lib, set_label, 1), Label).

set(ProcLib, true, Label) -> apply(ProcLib, set_label, [Label]);
set(_ProcLib, false, _Label) -> ok.
