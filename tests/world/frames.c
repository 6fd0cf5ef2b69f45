/* Frames in folders. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "media/image.h"
#include "world/commands.h"

int world_frames_load(const char *folder, uint8_t *rgb, kn_err *err)
{
    kn_image *frames = NULL;
    int n = 0, rc = 0;
    if (!kn_path_is_dir(folder))
        return kn_fail(err, KN_ENOTFOUND, "%s is not a folder", folder);
    if (kn_video_load(folder, WORLD_FRAMES + 1, &frames, &n, NULL, err))
        return err->code;
    if (n != WORLD_FRAMES)
        rc = kn_fail(err, KN_EFORMAT, "%s holds %s%d frames, expected %d", folder,
                     n > WORLD_FRAMES ? "more than " : "", n > WORLD_FRAMES ? WORLD_FRAMES : n, WORLD_FRAMES);
    for (int i = 0; i < n && !rc; i++)
        if (frames[i].width != WORLD_SIDE || frames[i].height != WORLD_SIDE)
            rc = kn_fail(err, KN_EFORMAT, "%s: frame %d is %dx%d, expected %dx%d", folder, i, frames[i].width,
                         frames[i].height, WORLD_SIDE, WORLD_SIDE);
    for (int i = 0; i < n && !rc; i++)
        memcpy(rgb + (size_t)i * WORLD_FRAME_BYTES, frames[i].rgb, WORLD_FRAME_BYTES);
    kn_images_free(frames, n);
    return rc;
}

int world_frame_save(const uint8_t *rgb, const char *path, kn_err *err)
{
    kn_image im;
    if (kn_image_new(WORLD_SIDE, WORLD_SIDE, &im, err))
        return err->code;
    memcpy(im.rgb, rgb, WORLD_FRAME_BYTES);
    int rc = kn_image_save_png(&im, path, err);
    kn_image_done(&im);
    return rc;
}

char *world_work_folder(const char *given, kn_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *path = given ? kn_strdup(given) : kn_asprintf("%s/kinora-world-XXXXXX", tmp ? tmp : "/tmp");
    bool made = path && (given ? mkdir(path, 0777) == 0 || errno == EEXIST : mkdtemp(path) != NULL);
    if (made && kn_path_is_dir(path))
        return path;
    kn_fail(err, path ? KN_EIO : KN_ENOMEM, "cannot make the folder %s: %s", path ? path : "",
            strerror(errno));
    free(path);
    return NULL;
}

void world_folder_remove(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *file = kn_path_join(path, e->d_name);
        if (file)
            unlink(file); /* fails on folders, which is meant */
        free(file);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

double world_psnr(const uint8_t *a, const uint8_t *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)(a[i] - b[i]) * (a[i] - b[i]);
    return sum > 0 ? 10 * log10(255.0 * 255 * (double)n / sum) : 99;
}
