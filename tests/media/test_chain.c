/* The chain of encoders, with each made unavailable in turn; what it ends in is decoded and looked at. */
#include "sink_test.h"

#include "media/codec.h"
#include "media/encoder.h"

enum { N = 9, MAX_FAULTS = 32 };
/* The smallest that SVT-AV1 takes. */
static const kn_sink_opts CLIP = {.width = 96, .height = 64, .fps = 16.0};
static const float RGB[3] = {0.2f, 0.5f, 0.8f};

/* Hardware is as it happens to be: tests of the chain do without. */
typedef struct faults {
    kn_sink_fault items[MAX_FAULTS];
    int n;
} faults;

static void add_fault(faults *f, const char *name, int64_t frame)
{
    assert_true(f->n < MAX_FAULTS);
    f->items[f->n++] = (kn_sink_fault){.encoder = name, .frame = frame};
}

static void without_hardware(faults *f)
{
    const kn_codec *c;
    *f = (faults){0};
    for (int i = 0; (c = kn_codec_at(i)); i++)
        if (c->is_hardware)
            add_fault(f, c->name, 0);
}

static kn_sink_opts opts_of(const faults *f)
{
    kn_sink_opts o = CLIP;
    o.faults = f->items;
    o.n_faults = f->n;
    return o;
}

static bool ends_in(const char *s, const char *end)
{
    size_t a = strlen(s), b = strlen(end);
    return a >= b && !strcmp(s + a - b, end);
}

/* How far colours may go: GIF is exact here, WebP and VP9 at small sizes are not. */
static void check_playable(const char *path, bool has_fps)
{
    kn_media_info info = {0};
    kn_image *frames = NULL;
    int n = 0;
    double fps = 0;
    kn_err err = {0};
    assert_ok(kn_media_info_read(path, &info, &err));
    assert_int_equal(info.width, CLIP.width);
    assert_int_equal(info.height, CLIP.height);
    assert_int_equal(info.n_frames, N);
    if (has_fps)
        assert_near(info.fps, CLIP.fps, 0.2);
    assert_string_equal(info.comment, "{\"seed\":7}");
    kn_media_info_done(&info);
    assert_ok(kn_video_load(path, 100, &frames, &n, &fps, &err));
    assert_int_equal(n, N);
    if (has_fps)
        assert_near(fps, CLIP.fps, 0.2);
    check_flat(&frames[0], RGB, 4);
    check_flat(&frames[N - 1], (const float[]){0.9f, 0.6f, 0.1f}, 4);
    kn_images_free(frames, n);
}

/* The pictures change, or a GIF would hold one and a time. */
static void put_clip(kn_sink *s)
{
    kn_err err = {0};
    for (int i = 0; i < N; i++) {
        bool last = i == N - 1;
        kn_frame *f = test_flat_frame(CLIP.width, CLIP.height, i, last ? 0.9f : RGB[0], last ? 0.6f : RGB[1],
                                      last ? 0.1f : RGB[2]);
        if (!last && i) /* a dot that moves, away from what is checked */
            f->rgb[3 * (CLIP.width * 20 + 5 * i)] = 0.21f + 0.01f * (float)i;
        assert_ok(kn_sink_put(s, f, &err));
    }
}

static void check_attempts(const kn_sink *s, const char *used)
{
    int n;
    const kn_sink_attempt *a = kn_sink_attempts(s, &n);
    assert_true(n >= 1);
    for (int i = 0; i < n; i++) {
        assert_true(a[i].ok == (i == n - 1));
        assert_true(a[i].ok == !*a[i].reason);
    }
    assert_string_equal(a[n - 1].name, used);
}

/* Makes a clip with what is left of the chain; the encoder's name, and what ending the file has. */
static const char *make(const char *dir, const char *name, const faults *f, const char *const *endings,
                        const char **ret_ending)
{
    char *path = kn_path_join(dir, name);
    kn_sink_opts o = opts_of(f);
    kn_err err = {0};
    kn_sink *s = open_sink(path, &o);
    const kn_codec *used = kn_codec_find(kn_sink_encoder(s));
    assert_non_null(used);
    check_attempts(s, used->name);
    for (*ret_ending = NULL; *endings && !*ret_ending; endings++)
        if (ends_in(kn_sink_path(s), *endings))
            *ret_ending = *endings;
    assert_non_null(*ret_ending);
    if (!ends_in(path, *ret_ending)) { /* said clearly */
        assert_non_null(strstr(kn_sink_note(s), kn_sink_path(s)));
        assert_non_null(strstr(kn_sink_note(s), "because"));
    }
    char *real = strdup(kn_sink_path(s));
    put_clip(s);
    assert_ok(kn_sink_commit(s, "{\"seed\":7}", &err));
    assert_int_equal(test_dir_count(dir), 1);
    if (real[strlen(real) - 1] == '/')
        real[strlen(real) - 1] = '\0';
    check_playable(real, !ends_in(real, "_frames"));
    if (kn_path_is_dir(real))
        test_dir_remove(strdup(real));
    else
        unlink(real);
    free(real);
    free(path);
    return used->name;
}

/* Takes the best encoder away until nothing is left; how many there were. */
static int walk(const char *name, const char *const *endings)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, name);
    faults f;
    int n = 0;
    const char *ending = NULL, *before = endings[0];
    without_hardware(&f);
    do {
        const char *used = make(dir, name, &f, endings, &ending);
        print_message("%s: %s, %s\n", name, used, ending);
        if (strcmp(ending, before)) { /* kinds come in their order, none twice */
            while (*endings && strcmp(*endings, ending))
                endings++;
            assert_non_null(*endings);
        }
        before = ending;
        add_fault(&f, used, 0);
        n++;
    } while (strcmp(ending, "_frames/"));
    kn_sink_opts o = opts_of(&f);
    check_open_fails(path, &o, KN_EUNSUPPORTED, "PNG");
    assert_int_equal(test_dir_count(dir), 0);
    free(path);
    test_dir_remove(dir);
    return n;
}

static void test_mp4_to_the_end(void **state)
{
    (void)state;
    assert_true(walk("x.mp4", (const char *const[]){".mp4", ".gif", "_frames/", NULL}) >= 3);
}

static void test_webm_to_the_end(void **state)
{
    (void)state;
    assert_true(walk("x.webm", (const char *const[]){".webm", ".mp4", ".gif", "_frames/", NULL}) >= 4);
}

static void test_webp_to_the_end(void **state)
{
    (void)state;
    assert_int_equal(walk("x.webp", (const char *const[]){".webp", ".gif", "_frames/", NULL}), 3);
}

static void test_gif_to_the_end(void **state)
{
    (void)state;
    assert_int_equal(walk("x.gif", (const char *const[]){".gif", "_frames/", NULL}), 2);
}

/* Hardware comes first, and each says why it does not work; where one works, its file must be right. */
static void test_hardware_is_tried_first(void **state)
{
    static const char *const order[] = {"h264_nvenc", "h264_amf", "h264_vaapi", "h264_qsv"};
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    kn_sink_opts o = {.width = 256, .height = 256, .fps = 16};
    kn_err err = {0};
    int n;
    (void)state;
    kn_sink *s = open_sink(path, &o);
    const kn_sink_attempt *a = kn_sink_attempts(s, &n);
    for (int i = 0; i < n && i < 4; i++) {
        print_message("%s: %s\n", a[i].name, a[i].ok ? "works" : a[i].reason);
        assert_string_equal(a[i].name, order[i]);
    }
    put_flat(s, &o, 5, RGB[0], RGB[1], RGB[2]);
    assert_ok(kn_sink_commit(s, NULL, &err));
    kn_image *frames = NULL;
    assert_ok(kn_video_load(path, 100, &frames, &n, NULL, &err));
    assert_int_equal(n, 5);
    check_flat(&frames[4], RGB, 4);
    kn_images_free(frames, n);
    free(path);
    test_dir_remove(dir);
}

static void test_no_software(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4");
    faults f;
    int n, n_forbidden = 0;
    (void)state;
    without_hardware(&f);
    kn_sink_opts o = opts_of(&f);
    o.no_software = true;
    kn_sink *s = open_sink(path, &o);
    assert_string_equal(kn_sink_encoder(s), "gif");
    assert_true(ends_in(kn_sink_path(s), "/x.gif"));
    const kn_sink_attempt *a = kn_sink_attempts(s, &n);
    for (int i = 0; i < n; i++)
        n_forbidden += strstr(a[i].reason, "allow_software_video_fallback") != NULL;
    assert_true(n_forbidden >= 3);
    kn_sink_abort(s);
    o.encoder = "mpeg4"; /* said by name, it is wanted */
    s = open_sink(path, &o);
    assert_string_equal(kn_sink_encoder(s), "mpeg4");
    kn_sink_abort(s);
    free(path);
    test_dir_remove(dir);
}

static void test_named_encoder_must_work(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *gif = kn_path_join(dir, "x.gif");
    faults f = {0};
    (void)state;
    add_fault(&f, "mpeg4", 0);
    kn_sink_opts o = opts_of(&f);
    o.encoder = "mpeg4";
    check_open_fails(path, &o, KN_EUNSUPPORTED, "mpeg4 does not work");
    check_open_fails(gif, &o, KN_EINVAL, "for GIF one of gif");
    o.encoder = "libnothing";
    check_open_fails(path, &o, KN_EINVAL, "unknown encoder libnothing; for MP4 one of h264_nvenc");
    assert_int_equal(test_dir_count(dir), 0);
    free(gif);
    free(path);
    test_dir_remove(dir);
}

/* What lies beside is someone's. */
static void test_beside_takes_a_free_name(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.mp4"), *gif = kn_path_join(dir, "x.gif");
    faults f;
    (void)state;
    without_hardware(&f);
    kn_sink_opts o = opts_of(&f);
    o.no_software = true;
    test_write(gif, "theirs", 6);
    kn_sink *s = open_sink(path, &o);
    assert_true(ends_in(kn_sink_path(s), "/x-2.gif"));
    kn_sink_abort(s);
    assert_int_equal(test_dir_count(dir), 1);
    free(gif);
    free(path);
    test_dir_remove(dir);
}

static int put_until(kn_sink *s, int n, kn_err *err)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++)
        rc = kn_sink_put(s, test_flat_frame(CLIP.width, CLIP.height, i, 0.1f * (float)(i % 10), 0, 0), err);
    return rc;
}

static void test_failure_in_the_middle_and_at_the_end(void **state)
{
    static const struct {
        const char *name, *encoder;
    } cases[] = {{"x.mp4", "mpeg4"}, {"x.webm", "libvpx-vp9"}, {"x.gif", "gif"}, {"x.webp", "libwebp_anim"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *dir = test_dir_make(), *path = kn_path_join(dir, cases[i].name);
        faults f = {0};
        kn_err err = {0};
        add_fault(&f, cases[i].encoder, 3);
        kn_sink_opts o = opts_of(&f);
        o.encoder = cases[i].encoder;
        kn_sink *s = open_sink(path, &o);
        assert_int_equal(put_until(s, 50, &err), KN_EDEVICE);
        assert_non_null(strstr(err.msg, cases[i].encoder));
        assert_non_null(strstr(err.msg, "frame 3"));
        kn_sink_abort(s);
        assert_int_equal(test_dir_count(dir), 0);
        s = open_sink(path, &o);
        assert_ok(put_until(s, 2, &err));
        assert_int_equal(kn_sink_commit(s, "{}", &err), KN_EDEVICE);
        assert_int_equal(test_dir_count(dir), 0);
        free(path);
        test_dir_remove(dir);
    }
}

/* The encoder that waits for ever when it gets no frame. */
static void test_opened_and_left(void **state)
{
    char *dir = test_dir_make(), *path = kn_path_join(dir, "x.webm");
    kn_sink_opts o = CLIP;
    kn_sink *s = NULL;
    kn_err err = {0};
    (void)state;
    o.encoder = "libsvtav1";
    int rc = kn_sink_open(path, &o, &s, &err);
    if (!rc)
        kn_sink_abort(s);
    else
        assert_int_equal(rc, KN_EUNSUPPORTED);
    assert_int_equal(test_dir_count(dir), 0);
    free(path);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mp4_to_the_end),
        cmocka_unit_test(test_webm_to_the_end),
        cmocka_unit_test(test_webp_to_the_end),
        cmocka_unit_test(test_gif_to_the_end),
        cmocka_unit_test(test_hardware_is_tried_first),
        cmocka_unit_test(test_no_software),
        cmocka_unit_test(test_named_encoder_must_work),
        cmocka_unit_test(test_beside_takes_a_free_name),
        cmocka_unit_test(test_failure_in_the_middle_and_at_the_end),
        cmocka_unit_test(test_opened_and_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
