/* kinora info FILE */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "media/sink.h"

/* libav names a container by all it may be called ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "png_pipe"). */
static void plain_container(char *name)
{
    if (strstr(name, "mp4"))
        memcpy(name, "mp4", sizeof "mp4");
    else if (strstr(name, "webm"))
        memcpy(name, "webm", sizeof "webm");
    char *pipe = strstr(name, "_pipe");
    if (pipe)
        *pipe = '\0';
}

static json_t *to_json(const kn_media_info *info)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:I, s:f}", "container", info->container, "codec",
                          info->codec, "pixel_format", info->pixel_format, "width", info->width, "height",
                          info->height, "fps", info->fps, "frames", (json_int_t)info->n_frames, "duration_s",
                          info->duration_s);
    json_t *comment = info->comment ? json_loads(info->comment, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (comment)
        json_object_set_new(o, "kinora", comment);
    else if (info->comment)
        json_object_set_new(o, "comment", json_string(info->comment));
    return o;
}

int kn_cmd_info(const kn_args *a)
{
    bool json = false, help = false;
    const char *file = NULL;
    const kn_switch switches[] = {{"json", NULL, "one JSON object", &json, NULL}, {0}};
    kn_err err = {0};
    kn_media_info info = {0};
    int rc = kn_args_parse(a, NULL, switches, &file, 1, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"info FILE", switches, false, NULL, NULL});
        return 0;
    }
    if (!rc && !file)
        rc = kn_fail(&err, KN_EINVAL, "no file given; say `kinora info FILE`");
    if (!rc)
        rc = kn_media_info_read(file, &info, &err);
    if (rc)
        return kn_cli_fail(&err);
    plain_container(info.container);
    json_t *o = to_json(&info);
    char *text = json_dumps(json ? o : json_object_get(o, "kinora"),
                            JSON_INDENT(2) | JSON_ENCODE_ANY | KN_JSON_DIGITS);
    if (!json)
        printf("%s: %s, %s %s, %dx%d, %lld frames, %g fps, %.2f s\n%s\n", file, info.container, info.codec,
               info.pixel_format, info.width, info.height, (long long)info.n_frames, info.fps,
               info.duration_s, text ? text : "(no generation data inside)");
    else
        printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
    kn_media_info_done(&info);
    return 0;
}
