/* Where the server of a data folder listens: a small file in it, there while the server runs, with nothing secret. */
#ifndef KN_SERVER_ADDRESS_H
#define KN_SERVER_ADDRESS_H

#include "base/err.h"

/* host: as the server was told to listen on, NULL: 127.0.0.1. What listens everywhere is reached on this machine's own
 * address. */
int kn_address_write(const char *data_dir, const char *host, int port, kn_err *err);
/* "http://127.0.0.1:8188", heap. KN_ENOTFOUND: no server has said where it is. A server that was killed leaves the file, so
 * only that of a folder whose lock is taken says something. */
int kn_address_read(const char *data_dir, char **ret_url, kn_err *err);
void kn_address_remove(const char *data_dir);

#endif
