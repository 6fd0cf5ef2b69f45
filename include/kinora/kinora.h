/* The public C API of Kinora.  It declares only what is implemented; making videos follows.
 *
 * Every function may be called from any thread.  Strings that are returned are constants: never free them. */
#ifndef KINORA_KINORA_H
#define KINORA_KINORA_H

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; kinora_version() is that of the library in use. */
#define KINORA_VERSION_MAJOR 0
#define KINORA_VERSION_MINOR 1
#define KINORA_VERSION_PATCH 0
#define KINORA_VERSION       "0.1.0"

/* "MAJOR.MINOR.PATCH" */
const char *kinora_version(void);

/* Functions that can fail return 0 or one of these. Values never change meaning; new ones may be added. */
enum kinora_error {
    KINORA_OK = 0,
    KINORA_EINVAL = -1,       /* an argument or parameter is invalid */
    KINORA_EFORMAT = -2,      /* a file is malformed */
    KINORA_ENOTFOUND = -3,    /* a file, model or tensor does not exist */
    KINORA_EIO = -4,          /* reading or writing failed */
    KINORA_ENOMEM = -5,       /* host or device memory is not enough */
    KINORA_EUNSUPPORTED = -6, /* well-formed, but not something this build can do */
    KINORA_ELIMIT = -7,       /* larger than a documented limit */
    KINORA_EDEVICE = -8,      /* the device or its library failed */
    KINORA_EBUSY = -9,        /* in use; try again later */
    KINORA_ECANCELLED = -10,  /* stopped on request */
    KINORA_EINTERNAL = -11    /* a mistake in Kinora */
};

/* "KN_EINVAL", "OK" for 0, "KN_EUNKNOWN" for a value that is none of these */
const char *kinora_error_name(int code);
/* "invalid argument" */
const char *kinora_error_text(int code);
/* The exit code with which the command line reports this error; 0 for 0. */
int kinora_error_exit_code(int code);

#ifdef __cplusplus
}
#endif

#endif
