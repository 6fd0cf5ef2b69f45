#!/bin/sh
# Runs what a page tells its readers to do with curl: tests/docs/run.sh PAGE PROGRAM
#
# All blocks of the page that are marked sh and call curl are one script, run in an empty folder.  The studio has a token and a
# port of its own; a curl that stands before the real one in the PATH adds the token, puts the port in place of 8188, and
# writes down what was answered: every answer must be a success.  Videos and pictures that the script leaves must be such.
set -eu
page=$1
program=$2
work=$(mktemp -d)
server=""
stop() {
    [ -z "$server" ] || { kill "$server" && wait "$server" || true; }
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM
fail() {
    echo "$page: $*" >&2
    exit 1
}

awk '
    /^```/ { if (inside) { if (block ~ /curl/) printf "%s", block; inside = 0 } else { inside = 1; marked = $0 == "```sh"; block = "" } next }
    inside && !marked && /(^|[(|; ])curl / { print FILENAME ":" FNR ": curl in a block that is not marked sh" >"/dev/stderr"; bad = 1 }
    inside && marked { block = block $0 "\n" }
    END { exit bad }' "$page" >"$work/script" || exit 1
expected=$(grep -c 'curl ' "$work/script") || fail "no command with curl"

mkdir "$work/bin" "$work/empty" "$work/data"
KINORA_TOKEN="a-token-of-$$" "$program" serve --port 0 --data-dir "$work/data" >"$work/out" 2>"$work/err" &
server=$!
n=0
until grep -q 'Kinora is at' "$work/out"; do
    n=$((n + 1))
    if ! kill -0 "$server" || [ $n -gt 1200 ]; then
        cat "$work/out" "$work/err" >&2
        fail "the studio does not start"
    fi
    sleep 0.1
done
port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$work/out")
cat >"$work/bin/curl" <<END
#!/bin/sh
for argument; do
    shift
    set -- "\$@" "\$(printf %s "\$argument" | sed 's/127\\.0\\.0\\.1:8188/127.0.0.1:$port/')"
done
exec $(command -v curl) -H 'Authorization: Bearer a-token-of-$$' -w '%{stderr}%{http_code} %{content_type} %{url_effective}\n' "\$@" 2>>"$work/answers"
END
chmod +x "$work/bin/curl"

(cd "$work/empty" && PATH=$work/bin:$PATH timeout 300 sh -eu "$work/script") >"$work/said" || {
    cat "$work/script" "$work/said" "$work/answers" "$work/err" >&2
    fail "the script ended with an error"
}
if grep -v '^2[0-9][0-9] \(application/json\|video/mp4\|image/png\|text/event-stream\) ' "$work/answers" >&2; then
    fail "these answers are no success"
fi
[ "$(wc -l <"$work/answers")" -ge "$expected" ] || fail "$expected commands, but $(wc -l <"$work/answers") answers"
for file in "$work/empty"/*; do
    case $file in
    *.mp4) "$program" info "$file" >/dev/null || fail "$(basename "$file") is no video" ;;
    *.png) [ "$(head -c 4 "$file" | tail -c 3)" = PNG ] || fail "$(basename "$file") is no picture" ;;
    *) fail "it leaves $(basename "$file"), which nobody checks" ;;
    esac
done
echo "$page: $(wc -l <"$work/answers") answers to $expected commands"
