%% @doc What Kubernetes makes of manifests, as far as nodes see it: the pods of a StatefulSet, their environment, and the records of a
%% headless Service (Kubernetes DNS-Based Service Discovery, section 2.4).
-module(caravan_test_kubernetes).

-export([objects/1, object/3, container/1, pod_names/2, environment/3, port/2, srv_name/2, srv/3, target/3, service_name/2]).

-export_type([object/0, facts/0]).

-type object() :: caravan_test_manifest:document().

%% What the downward API knows about a pod.
-type facts() :: #{name := binary(), namespace := binary(), ip := string()}.

-define(DOMAIN, "svc.cluster.local").

-import(caravan_test_manifest, [at/2]).

%% @doc Returns the objects of several files.
-spec objects([file:filename()]) -> [object()].
objects(Files) ->
    lists:append([caravan_test_manifest:read(File) || File <- Files]).

%% @doc Returns the object of that kind and name.
-spec object(Kind :: string(), Name :: string(), [object()]) -> object().
object(Kind, Name, Objects) ->
    [Object] = [
        Each
     || #{<<"kind">> := K, <<"metadata">> := #{<<"name">> := N}} = Each <- Objects,
        K =:= list_to_binary(Kind),
        N =:= list_to_binary(Name)
    ],
    Object.

%% @doc Returns the only container of the pods that a StatefulSet or a Deployment makes.
-spec container(object()) -> map().
container(Workload) ->
    [Container] = at(["spec", "template", "spec", "containers"], Workload),
    Container.

%% @doc Returns the names of the first pods of a StatefulSet.
-spec pod_names(object(), pos_integer()) -> [binary()].
pod_names(StatefulSet, Count) ->
    Name = at(["metadata", "name"], StatefulSet),
    [<<Name/binary, $-, (integer_to_binary(Ordinal))/binary>> || Ordinal <- lists:seq(0, Count - 1)].

%% @doc Returns the environment of a container. A value may refer to variables before it, as in `shop@$(POD_NAME)'.
-spec environment(map(), facts(), [object()]) -> [{string(), string()}].
environment(#{<<"env">> := Variables}, Facts, Objects) ->
    lists:foldl(fun(Variable, Before) -> Before ++ [variable(Variable, Before, Facts, Objects)] end, [], Variables).

variable(#{<<"name">> := Name, <<"value">> := Value}, Before, _Facts, _Objects) ->
    {binary_to_list(Name), lists:foldl(fun expand/2, binary_to_list(Value), Before)};
variable(#{<<"name">> := Name, <<"valueFrom">> := #{<<"fieldRef">> := #{<<"fieldPath">> := Path}}}, _Before, Facts, _Objects) ->
    {binary_to_list(Name), unicode:characters_to_list(field(Path, Facts))};
variable(#{<<"name">> := Name, <<"valueFrom">> := #{<<"secretKeyRef">> := Reference}}, _Before, _Facts, Objects) ->
    #{<<"name">> := Secret, <<"key">> := Key} = Reference,
    {binary_to_list(Name), binary_to_list(at(["stringData", binary_to_list(Key)], object("Secret", binary_to_list(Secret), Objects)))}.

expand({Name, Value}, Text) ->
    lists:flatten(string:replace(Text, "$(" ++ Name ++ ")", Value, all)).

field(<<"metadata.name">>, #{name := Name}) -> Name;
field(<<"metadata.namespace">>, #{namespace := Namespace}) -> Namespace;
field(<<"status.podIP">>, #{ip := Ip}) -> Ip.

%% @doc Returns the number of a port that is a number or the name of a port of the container.
-spec port(binary() | inet:port_number(), map()) -> inet:port_number().
port(Number, _Container) when is_integer(Number) -> Number;
port(Name, Container) -> at(["ports", {"name", Name}, "containerPort"], Container).

%% @doc Returns the name that has the SRV records of the Service's only port.
-spec srv_name(object(), Namespace :: binary()) -> string().
srv_name(Service, Namespace) ->
    [#{<<"name">> := Port} = Spec] = at(["spec", "ports"], Service),
    Protocol = string:lowercase(maps:get(<<"protocol">>, Spec, <<"TCP">>)),
    lists:flatten(io_lib:format("_~s._~s.~s.~s." ?DOMAIN, [Port, Protocol, at(["metadata", "name"], Service), Namespace])).

%% @doc Returns the SRV record of a pod. CoreDNS publishes the port of the endpoint, which is `targetPort'.
-spec srv(object(), map(), facts()) -> {Port :: inet:port_number(), Target :: string()}.
srv(Service, Container, #{name := Pod, namespace := Namespace}) ->
    [#{<<"targetPort">> := Port}] = at(["spec", "ports"], Service),
    {port(Port, Container), target(Pod, at(["metadata", "name"], Service), Namespace)}.

%% @doc Returns the name under which a pod has its address.
-spec target(Pod :: binary(), Service :: binary(), Namespace :: binary()) -> string().
target(Pod, Service, Namespace) ->
    lists:flatten(io_lib:format("~s.~s.~s." ?DOMAIN, [Pod, Service, Namespace])).

%% @doc Returns the name under which a headless Service has the addresses of its pods.
-spec service_name(object(), Namespace :: binary()) -> string().
service_name(Service, Namespace) ->
    lists:flatten(io_lib:format("~s.~s." ?DOMAIN, [at(["metadata", "name"], Service), Namespace])).
