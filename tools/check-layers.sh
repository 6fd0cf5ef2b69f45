#!/bin/sh
# The include direction: base <- tensor | media | text | store | hub <- engine <- models <- jobs <- server <- cli, and one home for every
# third-party library. The first component of an include's path is its layer.
set -eu

# shellcheck disable=SC2016
git ls-files -co --exclude-standard 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]' | xargs awk '
BEGIN {
    allowed["base"] = "base"
    allowed["tensor"] = "base tensor"
    allowed["text"] = "base text"
    allowed["media"] = "base media"
    allowed["store"] = "base store"
    allowed["hub"] = "base hub"
    allowed["engine"] = "base tensor media text engine kinora"
    allowed["models"] = "base tensor media text hub engine models"
    allowed["jobs"] = "base media text store engine models jobs"
    allowed["server"] = "base media store hub engine models jobs server"
    allowed["cli"] = "base tensor media text hub engine models jobs server cli kinora"
    allowed["kinora"] = "kinora"

    # Third-party headers (a regular expression of the include) and their homes (of the file that includes).
    home["^dnnl|^oneapi/"] = "^src/tensor/cpu/"
    home["^lib(av|sw)"] = "^src/media/"
    home["^jansson[.]h$"] = "^src/base/json[.]h$"
    home["^sqlite3[.]h$"] = "^src/store/"
    home["^(microhttpd|wslay/wslay)[.]h$"] = "^src/server/"
    home["^(sys/(socket|un|epoll|eventfd|prctl)|netinet/(in|tcp)|arpa/inet|netdb)[.]h$"] = "^(src/(hub|jobs|server|cli)|tests)/"
    home["^curl/curl[.]h$"] = "^src/hub/"
    home["^openssl/evp[.]h$"] = "^src/hub/"
    home["^utf8proc[.]h$"] = "^src/text/"
    home["^(cmocka|setjmp)[.]h$"] = "^tests/"
    home["^sys/(mount|inotify)[.]h$"] = "^tests/"
    home["^(cuda|cuda_runtime_api|cublasLt)[.]h$"] = "^src/tensor/cuda/driver_"
    home["^omp[.]h$"] = "^(src/base/parallel[.]c|src/tensor/cpu/)"
    home["^sanitizer/"] = "^src/base/parallel[.]c$"
    home["^(immintrin|cpuid|arm_neon)[.]h$"] = "^src/(tensor/cpu|media|cli)/"

    n = split("assert complex ctype errno fenv float inttypes limits locale math signal stdalign stdarg stdatomic " \
              "stdbool stddef stdint stdio stdlib stdnoreturn string time " \
              "dirent endian fcntl fts ftw pthread sched strings termios unistd poll spawn " \
              "dlfcn sys/file sys/ioctl sys/mman sys/random sys/resource sys/stat sys/statvfs sys/time sys/types sys/utsname " \
              "sys/wait sys/syscall sys/sysmacros sys/vfs linux/mman malloc sys/auxv", names, " ")
    for (i = 1; i <= n; i++)
        standard[names[i] ".h"] = 1
}

function fail(message)
{
    printf "%s:%d: %s\n", FILENAME, FNR, message
    bad++
}

function system_include(path,   pattern)
{
    if (path in standard)
        return
    for (pattern in home)
        if (path ~ pattern) {
            if (FILENAME !~ home[pattern])
                fail("<" path "> belongs in " home[pattern] " only")
            return
        }
    fail("<" path "> is not known: give it a home in tools/check-layers.sh")
}

function exists(path,   line, found)
{
    found = (getline line < path) >= 0
    close(path)
    return found
}

function own_include(path,   to, from, parts, family, other, folder)
{
    folder = FILENAME
    sub(/[^\/]*$/, "", folder)
    if (!exists("src/" path) && !exists("include/" path) &&
        !(FILENAME ~ /^tests\// && (exists("tests/" path) || exists(folder path)))) {
        fail("\"" path "\" is not root-relative, or does not exist")
        return
    }
    if (FILENAME ~ /^tests\//)
        return

    split(path, parts, "/")
    to = parts[1]
    split(FILENAME, parts, "/")
    from = parts[2]
    if (index(" " allowed[from] " ", " " to " ") == 0)
        fail(from " must not include " to " (\"" path "\")")

    # A device is a folder that only tensor/device.c knows; a family is a folder that only models/models.c knows.
    if (path ~ /^tensor\/(cpu|meta|cuda)\//) {
        split(path, parts, "/")
        other = parts[2]
        if (FILENAME !~ "^src/tensor/" other "/" && FILENAME != "src/tensor/device.c" && from != "cli")
            fail("only tensor/device.c and the device itself include tensor/" other "/")
    }
    if (FILENAME ~ /^src\/models\/.*\//) {
        split(FILENAME, parts, "/")
        family = parts[3]
        split(path, parts, "/")
        if (to == "models" && parts[2] != family && parts[2] != "common" && path != "models/models.h")
            fail("models/" family " must not include models/" parts[2])
        if (family == "common" && to == "models" && parts[2] != "common")
            fail("models/common must not include a family")
    }
    if (from == "cli" && path ~ /^models\/.*\//)
        fail("cli sees families through models/models.h only")
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, part, /[<>]/)
    system_include(part[2])
    next
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    own_include(part[2])
}

# The guard of src/base/err.h is KN_BASE_ERR_H, of include/kinora/kinora.h KINORA_KINORA_H or KINORA_H.
FNR == 1 && FILENAME ~ /^src\/.*[.]h$/ {
    guard = toupper(FILENAME)
    sub(/^SRC\//, "KN_", guard)
    gsub(/[^A-Z0-9]/, "_", guard)
    want[FILENAME] = guard
}
FILENAME in want && $1 == "#ifndef" && !(FILENAME in seen) {
    seen[FILENAME] = 1
    if ($2 != want[FILENAME])
        fail("the include guard is " $2 ", expected " want[FILENAME])
}

END {
    if (bad) {
        printf "layers: %d includes go the wrong way\n", bad
        exit 1
    }
    printf "layers: ok, %d files\n", ARGC - 1
}'
