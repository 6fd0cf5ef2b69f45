/* Runs a fuzz target once on every file of the folders and files named on the command line: what libFuzzer's own
 * main would do with -runs=0, for builds without libFuzzer. A missing folder is an empty one. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"

enum { MAX_INPUT_BYTES = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    char *data = NULL;
    size_t size = 0;
    kn_err err = {0};
    if (kn_file_read(path, MAX_INPUT_BYTES, &data, &size, &err)) {
        fprintf(stderr, "replay: %s\n", err.msg);
        return -1;
    }
    /* An exact allocation, so that AddressSanitizer sees the first byte read past the input. */
    uint8_t *exact = malloc(size ? size : 1);
    if (exact) {
        for (size_t i = 0; i < size; i++)
            exact[i] = (uint8_t)data[i];
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(data);
    free(exact);
    return exact ? 0 : -1;
}

static int replay_folder(const char *path, int *n_files)
{
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    int rc = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        char *file = kn_path_join(path, e->d_name);
        if (!file || replay_file(file))
            rc = -1;
        free(file);
        ++*n_files;
    }
    closedir(dir);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0, n_files = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (!stat(argv[i], &st) && S_ISREG(st.st_mode)) {
            rc |= replay_file(argv[i]);
            n_files++;
        } else {
            rc |= replay_folder(argv[i], &n_files);
        }
    }
    printf("replayed %d inputs\n", n_files);
    return rc ? 1 : 0;
}
