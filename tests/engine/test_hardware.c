/* What this machine has, asked of stand-ins: a library with NVML's names, files like those of the amdgpu driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ram.h"
#include "engine/hardware.h"

static char folder[] = "/tmp/kinora-hardware-XXXXXX";

static void nvidia(void **state)
{
    (void)state;
    kn_gpus g = {0};
    kn_gpus_find_nvidia(KN_FAKE_NVML, &g);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.note, "");
    assert_string_equal(g.items[0].name, "Fake RTX 4080");
    assert_string_equal(g.items[0].driver, "550.00");
    assert_int_equal(g.items[0].total_bytes, 16ull << 30);
    assert_int_equal(g.items[0].free_bytes, 15ull << 30);
    assert_int_equal(g.items[0].busy_percent, 37);
    assert_int_equal(g.items[0].celsius, 61);
    assert_true(g.items[0].watts > 123.4 && g.items[0].watts < 123.6);
    assert_int_equal(g.items[0].compute_major, 8);
    assert_string_equal(g.items[1].id, "1");
    assert_int_equal(g.items[1].celsius, -1); /* not told is not 0 */
}

static void a_driver_that_does_not_answer_is_said(void **state)
{
    (void)state;
    kn_gpus g = {0};
    setenv("FAKE_NVML_FAILS", "1", 1);
    kn_gpus_find_nvidia(KN_FAKE_NVML, &g);
    unsetenv("FAKE_NVML_FAILS");
    assert_int_equal(g.n, 0);
    assert_non_null(strstr(g.note, "Driver Not Loaded"));
}

static void none_is_no_error(void **state)
{
    (void)state;
    kn_gpus g;
    kn_gpus_find("/nowhere/libnvidia-ml.so.1", "/nowhere/drm", &g);
    assert_int_equal(g.n, 0);
    assert_string_equal(g.note, "");
}

static void put(const char *path, const char *text)
{
    char command[512];
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s/%s')\" && printf '%%s\\n' '%s' > '%s/%s'",
             folder, path, text, folder, path);
    assert_int_equal(system(command), 0);
}

static void amd(void **state)
{
    (void)state;
    put("card0/device/vendor", "0x8086"); /* the processor's own */
    put("card1/device/vendor", "0x1002");
    put("card1/device/product_name", "Radeon Fake 7900");
    put("card1/device/mem_info_vram_total", "25753026560");
    put("card1/device/mem_info_vram_used", "753026560");
    put("card1/device/gpu_busy_percent", "5");
    put("card1/device/hwmon/hwmon3/temp1_input", "48000");
    put("card1/device/hwmon/hwmon3/power1_average", "21000000");
    put("card1-HDMI-A-1/status", "connected");
    put("card2/device/vendor", "0x1002");
    put("card2/device/device", "0x744c");
    kn_gpus g = {0};
    kn_gpus_find_amd(folder, &g);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.items[0].id, "card1");
    assert_string_equal(g.items[0].name, "Radeon Fake 7900");
    assert_int_equal(g.items[0].total_bytes, 25753026560);
    assert_int_equal(g.items[0].free_bytes, 25000000000);
    assert_int_equal(g.items[0].celsius, 48);
    assert_true(g.items[0].watts > 20.9 && g.items[0].watts < 21.1);
    assert_string_equal(g.items[1].name, "AMD GPU 744c");
    assert_int_equal(g.items[1].total_bytes, 0);
    assert_int_equal(g.items[1].busy_percent, -1);
}

static void disks(void **state)
{
    (void)state;
    kn_disk d, below;
    kn_disk_look(folder, &d);
    assert_true(d.total_bytes >= d.free_bytes && d.total_bytes > 0);
    char path[128];
    snprintf(path, sizeof path, "%s/not/there/yet", folder);
    kn_disk_look(path, &below);
    assert_int_equal(below.total_bytes, d.total_bytes);
    assert_string_equal(below.kind, d.kind);
    kn_disk_look("/dev/shm", &d);
    assert_string_equal(d.kind, "memory");
    assert_true(kn_disk_read_rate("/nowhere") == 0);
    assert_int_equal(kn_disk_usage("/nowhere"), 0);
    put("files/a", "12345");
    put("files/below/b", "1234567");
    snprintf(path, sizeof path, "%s/files", folder);
    assert_int_equal(kn_disk_usage(path), 6 + 8);
}

static void memory(void **state)
{
    (void)state;
    size_t total = kn_ram_total(), available = kn_ram_available(), resident = kn_ram_resident();
    assert_true(available > 0 && available <= total);
    assert_true(resident > 1 << 20 && resident <= total);
    assert_true(kn_ram_resident_peak() >= resident / 2);
    enum { BYTES = 64 << 20 };
    volatile char *p = malloc(BYTES);
    assert_non_null(p);
    for (size_t i = 0; i < BYTES; i += 4096)
        p[i] = 1;
    assert_true(kn_ram_resident() >= resident + BYTES / 2);
    free((void *)(uintptr_t)p);
}

static void as_json(void **state)
{
    (void)state;
    kn_gpus g;
    kn_gpus_find(KN_FAKE_NVML, "/nowhere/drm", &g);
    json_t *o = kn_hardware_to_json("a processor", &g);
    assert_non_null(o);
    const json_t *gpus = json_object_get(o, "gpus"), *memory_ = json_object_get(o, "memory");
    assert_int_equal(json_array_size(gpus), 2);
    assert_true(json_is_null(json_object_get(json_array_get(gpus, 1), "celsius")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(gpus, 0), "compute_capability")),
                        "8.9");
    assert_true(json_integer_value(json_object_get(memory_, "total_bytes")) > 0);
    assert_int_equal(json_array_size(json_object_get(o, "disks")), 2);
    json_decref(o);
}

static void why_idle(void **state)
{
    (void)state;
    kn_device cpu = {.name = "cpu"}, card = {.name = "cuda", .has_own_memory = true};
    kn_gpus g;
    kn_gpus_find(KN_FAKE_NVML, "/nowhere/drm", &g);
    setenv("KINORA_CUDA_LIBRARY", "/nowhere/libkinora-cuda.so", 1);
    json_t *why = kn_gpus_why_idle(&g, &cpu);
    assert_non_null(strstr(json_string_value(why), "/nowhere/libkinora-cuda.so"));
    assert_null(kn_gpus_why_idle(&g, &card));
    assert_null(kn_gpus_why_idle(&(kn_gpus){.n = 0}, &cpu));
    json_decref(why);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nvidia),
        cmocka_unit_test(a_driver_that_does_not_answer_is_said),
        cmocka_unit_test(none_is_no_error),
        cmocka_unit_test(amd),
        cmocka_unit_test(disks),
        cmocka_unit_test(memory),
        cmocka_unit_test(as_json),
        cmocka_unit_test(why_idle),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
