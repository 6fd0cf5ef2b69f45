/* libav, loaded when it is first needed: its libraries pull in a hundred others, which would cost every start of the
 * program 30 ms.  A function of libav that is used in this layer stands in one of the lists below; the macros at the end
 * lead its calls through the table.  Every entry point of the layer calls kn_av_load first. */
#ifndef KN_MEDIA_AV_H
#define KN_MEDIA_AV_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/error.h>
#include <libavutil/frame.h>
#include <libavutil/hwcontext.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "base/err.h"

#define KN_AV_FORMAT(X)                                                                                      \
    X(av_find_best_stream)                                                                                   \
    X(av_guess_frame_rate)                                                                                   \
    X(av_interleaved_write_frame)                                                                            \
    X(av_read_frame)                                                                                         \
    X(av_write_trailer)                                                                                      \
    X(avformat_alloc_output_context2)                                                                        \
    X(avformat_close_input)                                                                                  \
    X(avformat_find_stream_info)                                                                             \
    X(avformat_free_context)                                                                                 \
    X(avformat_new_stream)                                                                                   \
    X(avformat_open_input)                                                                                   \
    X(avformat_version)                                                                                      \
    X(avformat_write_header)                                                                                 \
    X(avio_closep)                                                                                           \
    X(avio_flush)                                                                                            \
    X(avio_open)

#define KN_AV_CODEC(X)                                                                                       \
    X(av_new_packet)                                                                                         \
    X(av_packet_alloc)                                                                                       \
    X(av_packet_free)                                                                                        \
    X(av_packet_rescale_ts)                                                                                  \
    X(av_packet_unref)                                                                                       \
    X(avcodec_alloc_context3)                                                                                \
    X(avcodec_find_decoder)                                                                                  \
    X(avcodec_find_encoder)                                                                                  \
    X(avcodec_find_encoder_by_name)                                                                          \
    X(avcodec_free_context)                                                                                  \
    X(avcodec_get_name)                                                                                      \
    X(avcodec_open2)                                                                                         \
    X(avcodec_parameters_copy)                                                                               \
    X(avcodec_parameters_from_context)                                                                       \
    X(avcodec_parameters_to_context)                                                                         \
    X(avcodec_receive_frame)                                                                                 \
    X(avcodec_receive_packet)                                                                                \
    X(avcodec_send_frame)                                                                                    \
    X(avcodec_send_packet)                                                                                   \
    X(avcodec_version)

#define KN_AV_SCALE(X)                                                                                       \
    X(sws_freeContext)                                                                                       \
    X(sws_getCoefficients)                                                                                   \
    X(sws_getContext)                                                                                        \
    X(sws_scale)                                                                                             \
    X(sws_setColorspaceDetails)                                                                              \
    X(swscale_version)

#define KN_AV_UTIL(X)                                                                                        \
    X(av_buffer_ref)                                                                                         \
    X(av_buffer_unref)                                                                                       \
    X(av_d2q)                                                                                                \
    X(av_dict_free)                                                                                          \
    X(av_dict_get)                                                                                           \
    X(av_dict_set)                                                                                           \
    X(av_frame_alloc)                                                                                        \
    X(av_frame_copy_props)                                                                                   \
    X(av_frame_free)                                                                                         \
    X(av_frame_get_buffer)                                                                                   \
    X(av_frame_unref)                                                                                        \
    X(av_get_pix_fmt_name)                                                                                   \
    X(av_hwdevice_ctx_create)                                                                                \
    X(av_hwframe_ctx_alloc)                                                                                  \
    X(av_hwframe_ctx_init)                                                                                   \
    X(av_hwframe_get_buffer)                                                                                 \
    X(av_hwframe_transfer_data)                                                                              \
    X(av_log_set_level)                                                                                      \
    X(av_opt_set)                                                                                            \
    X(av_opt_set_double)                                                                                     \
    X(av_opt_set_int)                                                                                        \
    X(av_pix_fmt_desc_get)                                                                                   \
    X(av_read_image_line2)                                                                                   \
    X(av_strerror)                                                                                           \
    X(avutil_version)

/* FFmpeg 6.1 moved side data from the stream to its codec parameters. */
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
#define KN_AV_FORMAT_SIDE_DATA(X)
#define KN_AV_CODEC_SIDE_DATA(X) X(av_packet_side_data_get)
#else
#define KN_AV_FORMAT_SIDE_DATA(X) X(av_stream_get_side_data)
#define KN_AV_CODEC_SIDE_DATA(X)
#endif

#define KN_AV_ALL(X)                                                                                         \
    KN_AV_FORMAT(X)                                                                                          \
    KN_AV_FORMAT_SIDE_DATA(X)                                                                                \
    KN_AV_CODEC(X)                                                                                           \
    KN_AV_CODEC_SIDE_DATA(X)                                                                                 \
    KN_AV_SCALE(X)                                                                                           \
    KN_AV_UTIL(X)

typedef struct kn_av_table {
#define X(f) __typeof__(&f) f;
    KN_AV_ALL(X)
#undef X
} kn_av_table;

/* Written once, by the first kn_av_load; only read afterwards. */
extern kn_av_table kn_av;

/* Loads the libraries once and silences them: what goes wrong travels in kn_err. KN_EUNSUPPORTED, naming the library that
 * is missing.  Thread-safe. */
int kn_av_load(kn_err *err);

#ifndef KN_AV_DEFINITIONS
#define av_find_best_stream             kn_av.av_find_best_stream
#define av_guess_frame_rate             kn_av.av_guess_frame_rate
#define av_interleaved_write_frame      kn_av.av_interleaved_write_frame
#define av_read_frame                   kn_av.av_read_frame
#define av_write_trailer                kn_av.av_write_trailer
#define avformat_alloc_output_context2  kn_av.avformat_alloc_output_context2
#define avformat_close_input            kn_av.avformat_close_input
#define avformat_find_stream_info       kn_av.avformat_find_stream_info
#define avformat_free_context           kn_av.avformat_free_context
#define avformat_new_stream             kn_av.avformat_new_stream
#define avformat_open_input             kn_av.avformat_open_input
#define avformat_version                kn_av.avformat_version
#define avformat_write_header           kn_av.avformat_write_header
#define avio_closep                     kn_av.avio_closep
#define avio_flush                      kn_av.avio_flush
#define avio_open                       kn_av.avio_open
#define av_new_packet                   kn_av.av_new_packet
#define av_packet_alloc                 kn_av.av_packet_alloc
#define av_packet_free                  kn_av.av_packet_free
#define av_packet_rescale_ts            kn_av.av_packet_rescale_ts
#define av_packet_unref                 kn_av.av_packet_unref
#define avcodec_alloc_context3          kn_av.avcodec_alloc_context3
#define avcodec_find_decoder            kn_av.avcodec_find_decoder
#define avcodec_find_encoder            kn_av.avcodec_find_encoder
#define avcodec_find_encoder_by_name    kn_av.avcodec_find_encoder_by_name
#define avcodec_free_context            kn_av.avcodec_free_context
#define avcodec_get_name                kn_av.avcodec_get_name
#define avcodec_open2                   kn_av.avcodec_open2
#define avcodec_parameters_copy         kn_av.avcodec_parameters_copy
#define avcodec_parameters_from_context kn_av.avcodec_parameters_from_context
#define avcodec_parameters_to_context   kn_av.avcodec_parameters_to_context
#define avcodec_receive_frame           kn_av.avcodec_receive_frame
#define avcodec_receive_packet          kn_av.avcodec_receive_packet
#define avcodec_send_frame              kn_av.avcodec_send_frame
#define avcodec_send_packet             kn_av.avcodec_send_packet
#define avcodec_version                 kn_av.avcodec_version
#define sws_freeContext                 kn_av.sws_freeContext
#define sws_getCoefficients             kn_av.sws_getCoefficients
#define sws_getContext                  kn_av.sws_getContext
#define sws_scale                       kn_av.sws_scale
#define sws_setColorspaceDetails        kn_av.sws_setColorspaceDetails
#define swscale_version                 kn_av.swscale_version
#define av_d2q                          kn_av.av_d2q
#define av_dict_free                    kn_av.av_dict_free
#define av_dict_get                     kn_av.av_dict_get
#define av_dict_set                     kn_av.av_dict_set
#define av_frame_alloc                  kn_av.av_frame_alloc
#define av_frame_free                   kn_av.av_frame_free
#define av_frame_get_buffer             kn_av.av_frame_get_buffer
#define av_frame_unref                  kn_av.av_frame_unref
#define av_get_pix_fmt_name             kn_av.av_get_pix_fmt_name
#define av_log_set_level                kn_av.av_log_set_level
#define av_opt_set                      kn_av.av_opt_set
#define av_opt_set_double               kn_av.av_opt_set_double
#define av_opt_set_int                  kn_av.av_opt_set_int
#define av_pix_fmt_desc_get             kn_av.av_pix_fmt_desc_get
#define av_read_image_line2             kn_av.av_read_image_line2
#define av_strerror                     kn_av.av_strerror
#define avutil_version                  kn_av.avutil_version
#define av_hwdevice_ctx_create          kn_av.av_hwdevice_ctx_create
#define av_hwframe_ctx_alloc            kn_av.av_hwframe_ctx_alloc
#define av_hwframe_ctx_init             kn_av.av_hwframe_ctx_init
#define av_hwframe_get_buffer           kn_av.av_hwframe_get_buffer
#define av_hwframe_transfer_data        kn_av.av_hwframe_transfer_data
#define av_buffer_ref                   kn_av.av_buffer_ref
#define av_buffer_unref                 kn_av.av_buffer_unref
#define av_frame_copy_props             kn_av.av_frame_copy_props
#define av_stream_get_side_data         kn_av.av_stream_get_side_data
#define av_packet_side_data_get         kn_av.av_packet_side_data_get
#endif

#endif
