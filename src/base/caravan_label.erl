%% @private
%% Sets the label of the calling process, which observer, the shell and crash reports show. Labels exist since OTP 27; on
%% earlier versions set/1 has no effect.
-module(caravan_label).

-export([set/1]).

-spec set(term()) -> ok.
set(Label) ->
    set(proc_lib, erlang:function_exported(proc_lib, set_label, 1), Label).

set(ProcLib, true, Label) -> apply(ProcLib, set_label, [Label]);
set(_ProcLib, false, _Label) -> ok.
