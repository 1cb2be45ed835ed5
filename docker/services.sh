#!/usr/bin/env bash
# Runs the servers that the tests use, PostgreSQL, Apache Kafka and RabbitMQ, without containers: own ports, own folder,
# loopback only. The system's instances are never touched. See README.md beside this file.
set -euo pipefail

usage() {
    cat <<'END'
usage: services.sh COMMAND
  up             installs what is missing, starts the servers, returns when they are ready
  down           stops them, keeps their state
  status         one line per server; fails unless all of them run
  env            prints the exports that point the tests at the servers
  run CMD...     up, CMD with the exports, then down if this call started the servers
  start NAME     stop NAME     kill NAME (SIGKILL)     freeze NAME (SIGSTOP)     thaw NAME
  rabbitmqctl ARGS...   RabbitMQ's own tool, for our server
  wipe           down, then removes the state
NAME is pgsql, kafka or rabbitmq. A server whose variable (DAJET_TEST_PGSQL, DAJET_TEST_KAFKA, DAJET_TEST_AMQP) is set to
another address is yours: up and env leave it alone.
Settings: DAJET_SERVICES_DIR, DAJET_SERVICES_PGSQL_PORT, DAJET_SERVICES_KAFKA_PORT, DAJET_SERVICES_KAFKA_CONTROLLER_PORT,
DAJET_SERVICES_AMQP_PORT, DAJET_SERVICES_AMQP_MANAGEMENT_PORT (the two ports behind it are RabbitMQ's too).
END
}

dir=$(realpath -m "${DAJET_SERVICES_DIR:-/tmp/dajet-services}")
# Below the range from which outgoing connections take their ports, or one of them is in the way now and then.
pgsql_port=${DAJET_SERVICES_PGSQL_PORT:-25432}
pgsql_password=dajet
kafka_port=${DAJET_SERVICES_KAFKA_PORT:-29092}
kafka_controller_port=${DAJET_SERVICES_KAFKA_CONTROLLER_PORT:-29093}
kafka_version=4.3.0
amqp_port=${DAJET_SERVICES_AMQP_PORT:-25772}
amqp_management_port=${DAJET_SERVICES_AMQP_MANAGEMENT_PORT:-25773}
rabbitmq_bin=/usr/lib/rabbitmq/bin
pgsql_address=pgsql://postgres:$pgsql_password@127.0.0.1:$pgsql_port/postgres
kafka_address=127.0.0.1:$kafka_port
amqp_address=amqp://guest:guest@127.0.0.1:$amqp_port/
amqp_management_address=http://127.0.0.1:$amqp_management_port
servers=(pgsql kafka rabbitmq)
ready_seconds=60

# Progress goes to stderr: the output of `run` is the command's own.
say() { echo "$*" >&2; }
die() {
    say "services.sh: $*"
    exit 1
}

# --- processes

port_of() {
    case $1 in
    pgsql) echo "$pgsql_port" ;;
    kafka) echo "$kafka_port" ;;
    rabbitmq) echo "$amqp_port" ;;
    management) echo "$amqp_management_port" ;;
    esac
}

pid_of() {
    case $1 in
    pgsql) head -n 1 "$dir/pgsql/data/postmaster.pid" 2>/dev/null || true ;;
    *) cat "$dir/$1/pid" 2>/dev/null || true ;;
    esac
}

# A zombie has no /proc/PID/exe: where process 1 does not reap, a killed server would otherwise look alive for ever.
exists() { [[ -e /proc/$1/exe ]]; }
gone() { ! exists "$1"; }

# The record outlives a crash and its number may belong to somebody else by now, hence the look at the command line (and,
# for RabbitMQ, which has its folders there, at the environment).
alive() {
    local pid
    pid=$(pid_of "$1")
    [[ -n $pid ]] && exists "$pid" && grep -qsaF "$dir/$1/" "/proc/$pid/cmdline" "/proc/$pid/environ"
}

frozen() { grep -q '^State:.T' "/proc/$(pid_of "$1")/status" 2>/dev/null; }
port_open() { timeout 1 bash -c "exec 3<>/dev/tcp/127.0.0.1/$(port_of "$1")" 2>/dev/null; }

# A process looks gone while its last threads still take its memory down, and its port is open until then: who starts it
# anew at once would find it running.
ended() { gone "$1" && ! port_open "$2"; } # PROCESS NAME

wait_until() { # SECONDS CMD...
    local ticks=$(($1 * 10))
    shift
    until "$@"; do
        ((ticks-- > 0)) || return 1
        sleep 0.1
    done
}

# Signals a server and all that it forked. The parent stands still first: it must not fork while they are listed.
signal_all() { # SIGNAL NAME
    local pid children
    alive "$2" || return 0
    pid=$(pid_of "$2")
    kill -STOP "$pid"
    mapfile -t children < <(pgrep -P "$pid")
    kill "-$1" "${children[@]}" "$pid" 2>/dev/null || true
    [[ $1 != KILL ]] || wait_until 10 ended "$pid" "$2" || die "$2 survived SIGKILL (process $pid)"
}

stop() {
    local pid
    alive "$1" || return 0
    pid=$(pid_of "$1")
    signal_all CONT "$1"
    # For PostgreSQL SIGINT is the fast shutdown; SIGTERM would wait for the clients to leave.
    if [[ $1 == pgsql ]]; then kill -INT "$pid"; else kill -TERM "$pid"; fi
    wait_until 60 ended "$pid" "$1" || die "$1 does not stop (process $pid)"
    [[ $1 != rabbitmq ]] || stop epmd
    say "$1 stopped"
}

# --- installation

pgsql_bin() { # the newest server; a folder may hold the client alone
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [[ -x $found ]] || found=$(command -v initdb) || return 1
    dirname "$(realpath "$found")"
}

install_missing() { # NAME...
    local need=() name failed=
    command -v pgrep >/dev/null || need+=(procps)
    for name; do
        case $name in
        pgsql) pgsql_bin >/dev/null || need+=(postgresql) ;;
        kafka)
            command -v java >/dev/null || need+=(default-jre-headless)
            [[ -d $dir/libs/$kafka_version ]] || command -v mvn >/dev/null || need+=(maven)
            ;;
        rabbitmq) [[ -x $rabbitmq_bin/rabbitmq-server ]] || need+=(rabbitmq-server) ;;
        esac
    done
    ((${#need[@]})) || return 0
    command -v apt-get >/dev/null || die "missing: ${need[*]} (no apt-get here, install them by hand)"
    ((EUID == 0)) || die "missing: ${need[*]} (run as root: apt-get install ${need[*]})"
    say "installing ${need[*]}"
    # Else the package creates and starts a cluster of its own. The last line of the file wins.
    if [[ " ${need[*]} " == *" postgresql "* ]]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
    fi
    # And RabbitMQ's would start its server, now and at each boot.
    local policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy; fi
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq -y --no-install-recommends install "${need[@]}"; } >"$dir/install.log" 2>&1 ||
        failed=1
    [[ -z $policy ]] || rm -f "$policy"
    [[ -z $failed ]] || die "cannot install ${need[*]}: $(tail -n 1 "$dir/install.log")"
    if [[ " ${need[*]} " == *" rabbitmq-server "* ]] && command -v systemctl >/dev/null; then
        systemctl disable rabbitmq-server epmd.socket >/dev/null 2>&1 || true
    fi
}

# Maven fills a folder beside the final one, so that an interrupted download is never taken for a whole one.
fetch_kafka() {
    local target=$dir/libs/$kafka_version
    say "fetching Apache Kafka $kafka_version"
    rm -rf "$target.part"
    mkdir -p "$target.part"
    # Without a binding for slf4j the server's log stays empty.
    cat >"$target.pom.xml" <<END
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>dajet</groupId><artifactId>services</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.2</version>
    </dependency>
  </dependencies>
</project>
END
    mvn -q -B -f "$target.pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$target.part" >"$dir/libs/maven.log" 2>&1 </dev/null ||
        die "maven cannot fetch Apache Kafka, its log is $dir/libs/maven.log"
    mv "$target.part" "$target"
}

# --- servers

failed() { # NAME
    tail -n 20 "$dir/$1/log" >&2 || true
    die "$1 did not start, its log is $dir/$1/log"
}

# PostgreSQL refuses to run as root.
as_postgres() { if ((EUID == 0)); then runuser -u postgres -- "$@"; else "$@"; fi; }

# Backends work in the folder of the cluster.
no_backends() { [[ -z $(find /proc -maxdepth 2 -name cwd -lname "$dir/pgsql/data" 2>/dev/null) ]]; }

start_pgsql() {
    local state=$dir/pgsql bin
    bin=$(pgsql_bin)
    mkdir -p "$state"
    ((EUID)) || chown postgres "$state"
    as_postgres test -w "$state" || die "user postgres cannot reach $state, set DAJET_SERVICES_DIR"
    if [[ ! -d $state/data ]]; then
        echo "$pgsql_password" >"$state/password"
        as_postgres rm -rf "$state/data.part"
        as_postgres "$bin/initdb" -D "$state/data.part" -U postgres -A scram-sha-256 --pwfile="$state/password" \
            -E UTF8 --locale=C.UTF-8 >"$state/initdb.log" 2>&1 || die "initdb failed: $(tail -n 1 "$state/initdb.log")"
        as_postgres mv "$state/data.part" "$state/data"
    fi
    # After SIGKILL the server's own check of postmaster.pid takes a zombie for a postmaster that runs. What the check is
    # for are backends that outlive theirs, so those are waited for instead. (A Unix socket has such a file too: none.)
    wait_until 10 no_backends || die "backends of the killed postmaster still run"
    rm -f "$state/data/postmaster.pid"
    # Settings are arguments and not in the folder, so that another port needs no new cluster.
    as_postgres "$bin/pg_ctl" -D "$state/data" -l "$state/log" -t "$ready_seconds" -w start >/dev/null 2>&1 -o \
        "-p $pgsql_port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' \
         -c shared_buffers=512MB -c max_wal_size=4GB" || failed pgsql
}

start_kafka() {
    local state=$dir/kafka libs=$dir/libs/$kafka_version
    [[ -d $libs ]] || fetch_kafka
    mkdir -p "$state"
    # Who reaches the broker through a proxy must be told the proxy's port: the listener PROXIED is kafka_port + 2, what it
    # advertises is kafka_port + 3.
    # A killed broker is taken back only when its old session has expired: with the default that is 9 s of each restart.
    cat >"$state/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$kafka_controller_port
listeners=PLAINTEXT://127.0.0.1:$kafka_port,PROXIED://127.0.0.1:$((kafka_port + 2)),CONTROLLER://127.0.0.1:$kafka_controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port,PROXIED://127.0.0.1:$((kafka_port + 3))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$state/data
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
END
    # The log of the run before is kept: it is the one that tells of a crash.
    [[ ! -e $state/log ]] || mv "$state/log" "$state/log.1"
    [[ -e $state/data/meta.properties ]] ||
        java -cp "$libs/*" kafka.tools.StorageTool format --standalone -t dajet-services-kafka-w \
            -c "$state/server.properties" >"$state/log" 2>&1 || failed kafka
    setsid nohup java -Xmx768m -Dlog4j2.level=INFO -cp "$libs/*" kafka.Kafka "$state/server.properties" \
        >"$state/log" 2>&1 </dev/null &
    echo $! >"$state/pid"
    # The port opens when the broker is unfenced and topics can be created.
    wait_until "$ready_seconds" kafka_settled $! || true
    port_open kafka || failed kafka
}
kafka_settled() { port_open kafka || gone "$1"; }

# The server, its tool and epmd, by which these find each other, run in an environment of their own.
as_rabbitmq() { # CMD...
    local state=$dir/rabbitmq
    exec env HOME="$state" RABBITMQ_NODENAME=dajet@localhost RABBITMQ_MNESIA_BASE="$state/data" RABBITMQ_LOG_BASE="$state" \
        RABBITMQ_CONFIG_FILE="$state/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$state/enabled_plugins" \
        RABBITMQ_PID_FILE="$state/server.pid" RABBITMQ_DIST_PORT=$((amqp_management_port + 1)) \
        ERL_EPMD_PORT=$((amqp_management_port + 2)) ERL_EPMD_ADDRESS=127.0.0.1 RUNNING_UNDER_SYSTEMD=1 \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' "$@"
}

start_rabbitmq() {
    local state=$dir/rabbitmq
    mkdir -p "$state" "$dir/epmd"
    cat >"$state/rabbitmq.conf" <<END
listeners.tcp.1 = 127.0.0.1:$amqp_port
management.tcp.ip = 127.0.0.1
management.tcp.port = $amqp_management_port
vm_memory_high_watermark.absolute = 2GB
disk_free_limit.absolute = 100MB
END
    echo '[rabbitmq_management].' >"$state/enabled_plugins"
    [[ ! -e $state/log ]] || mv "$state/log" "$state/log.1"
    # The server would start a daemon that nobody ends. Its folder stands in its environment, see alive.
    if ! alive epmd; then
        as_rabbitmq DAJET_EPMD="$dir/epmd/" setsid nohup epmd >"$dir/epmd/log" 2>&1 </dev/null &
        echo $! >"$dir/epmd/pid"
    fi
    as_rabbitmq setsid nohup "$rabbitmq_bin/rabbitmq-server" >"$state/log" 2>&1 </dev/null &
    echo $! >"$state/pid"
    # The management plugin is the last to open its port.
    wait_until "$ready_seconds" rabbitmq_settled $! || true
    port_open management || failed rabbitmq
}
rabbitmq_settled() { port_open management || gone "$1"; }

start() {
    # One that runs may be frozen by a test that did not end well.
    if alive "$1"; then
        signal_all CONT "$1"
        wait_until "$ready_seconds" port_open "$1" || failed "$1"
    elif ! port_open "$1"; then
        "start_$1"
    fi
    say "$1 is ready on 127.0.0.1:$(port_of "$1")"
}

# --- commands

# Servers that this script answers for: those that no variable points elsewhere.
ours() {
    [[ ${DAJET_TEST_PGSQL:-$pgsql_address} != "$pgsql_address" ]] || echo pgsql
    [[ ${DAJET_TEST_KAFKA:-$kafka_address} != "$kafka_address" ]] || echo kafka
    [[ ${DAJET_TEST_AMQP:-$amqp_address} != "$amqp_address" ]] || echo rabbitmq
}

# Runs CMD for each name at the same time; fails if one fails.
each() { # CMD NAME...
    local cmd=$1 name jobs=() code=0
    shift
    # Descriptor 9 is the lock, which a server must not inherit.
    for name; do
        "$cmd" "$name" 9>&- &
        jobs+=($!)
    done
    for name in "${jobs[@]}"; do wait "$name" || code=1; done
    return "$code"
}

start_all() { # NAME...
    install_missing "$@"
    each start "$@"
}

up() {
    local names
    mapfile -t names < <(ours)
    start_all "${names[@]}"
}

status() {
    local name state code=0
    for name in "${servers[@]}"; do
        if [[ " $(ours | xargs) " != *" $name "* ]]; then
            state='set by its variable'
        elif alive "$name"; then
            state="running (process $(pid_of "$name"))"
            ! frozen "$name" || state="frozen (process $(pid_of "$name"))"
        elif port_open "$name"; then
            state='running (started elsewhere)'
        else
            state=stopped
        fi
        [[ $state != stopped && $state != frozen* ]] || code=1
        echo "$name  127.0.0.1:$(port_of "$name")  $state"
    done
    return "$code"
}

print_env() {
    printf 'export DAJET_TEST_PGSQL=%q\n' "${DAJET_TEST_PGSQL:-$pgsql_address}"
    printf 'export DAJET_TEST_KAFKA=%q\n' "${DAJET_TEST_KAFKA:-$kafka_address}"
    printf 'export DAJET_TEST_AMQP=%q\n' "${DAJET_TEST_AMQP:-$amqp_address}"
    printf 'export DAJET_TEST_AMQP_MANAGEMENT=%q\n' "${DAJET_TEST_AMQP_MANAGEMENT:-$amqp_management_address}"
}

wipe() {
    each stop "${servers[@]}"
    rm -rf "$dir/pgsql" "$dir/kafka" "$dir/rabbitmq" "$dir/epmd" # the fetched jars stay
}

run() {
    local name started=()
    (($#)) || die "run needs a command"
    for name in $(ours); do alive "$name" || port_open "$name" || started+=("$name"); done
    # shellcheck disable=SC2064 # expanded now: the list is local
    trap "locked each stop ${started[*]}" EXIT
    locked up
    eval "$(print_env)"
    "$@"
}

# Two calls at once must not both create a cluster.
locked() { # CMD...
    mkdir -p "$dir"
    (
        flock 9
        "$@"
    ) 9>"$dir/lock"
}

command=${1:-help}
shift || true
case $command in
start | stop | kill | freeze | thaw)
    [[ ${1:-} =~ ^(pgsql|kafka|rabbitmq)$ ]] || die "$command needs a name: pgsql, kafka or rabbitmq"
    ;;
esac
case $command in
up) locked up ;;
down) locked each stop "${servers[@]}" ;;
status) status ;;
env) print_env ;;
run) run "$@" ;;
start) locked start_all "$1" ;;
stop) locked stop "$1" ;;
kill) locked signal_all KILL "$1" ;;
freeze) locked signal_all STOP "$1" ;;
thaw) locked signal_all CONT "$1" ;;
rabbitmqctl) as_rabbitmq "$rabbitmq_bin/rabbitmqctl" "$@" ;;
wipe) locked wipe ;;
help | -h | --help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
