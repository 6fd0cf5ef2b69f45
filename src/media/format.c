#include "media/format.h"

#include <stddef.h>
#include <string.h>

#include "base/file.h"

const char *kn_video_type(const char *path)
{
    static const char *const types[][2] = {
#define X(name, type) {name, type},
        KN_VIDEO_FORMAT_LIST(X)
#undef X
    };
    char ext[16];
    kn_path_ext(path, ext, sizeof ext);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i][0], ext) == 0)
            return types[i][1];
    return *ext ? NULL : KN_FRAMES_TYPE;
}
