/* Every limit of Kinora in one place, each with its reason.  An error that refuses something names the limit. */
#ifndef KN_BASE_LIMITS_H
#define KN_BASE_LIMITS_H

/* Hugging Face's own safetensors reader refuses larger headers. */
#define KN_LIMIT_SAFETENSORS_HEADER_BYTES (100ull << 20)
/* The largest tokenizer.json in use (Gemma, 256k pieces with merges) is about 33 MB. */
#define KN_LIMIT_JSON_FILE_BYTES (128ull << 20)
/* jansson recurses per level; configs nest four deep. */
#define KN_LIMIT_JSON_DEPTH 64
/* A 14B transformer has about 1,300 tensors; a sharded 100B language model about 20,000. */
#define KN_LIMIT_TENSORS 200000
/* The longest tensor name seen is about 120 bytes. */
#define KN_LIMIT_TENSOR_NAME_BYTES 512
/* Wan's longest prompt is 512 tokens; 64 KiB is far more text than any encoder reads. */
#define KN_LIMIT_PROMPT_BYTES (64u << 10)
/* 16384 x 16384 x 4 bytes = 1 GiB decoded; larger pictures are refused before allocation. */
#define KN_LIMIT_IMAGE_PIXELS (16384ll * 16384ll)
/* An uncompressed picture of KN_LIMIT_IMAGE_PIXELS with alpha; libav counts packet bytes in an int. */
#define KN_LIMIT_IMAGE_FILE_BYTES (1ull << 30)
/* A clip read as input is held whole, as 8-bit RGB: 1,000 frames of 1920 x 1080 are 6 GB. */
#define KN_LIMIT_CLIP_BYTES (8ull << 30)
/* Beyond this an mp4 of a single job stops being one clip; also bounds plan arithmetic. */
#define KN_LIMIT_FRAMES 100000
/* Video sizes the pixel arithmetic (int32 strides in encoders) is safe for. */
#define KN_LIMIT_VIDEO_SIDE 8192
/* Denoise steps: nobody samples with more; bounds the schedule tables. */
#define KN_LIMIT_STEPS 1000
/* A model folder's kinora.json: a title and a dozen numbers, and room for a negative prompt of any length. */
#define KN_LIMIT_MODEL_DEFAULTS_BYTES (256u << 10)
/* A model's title is printed in one line of a list. */
#define KN_LIMIT_TITLE_BYTES 120
/* LoRAs, reference pictures: more is a mistake in a script. */
#define KN_LIMIT_LORAS      64
#define KN_LIMIT_REFERENCES 16
/* Prompts of a long video, one a segment: 256 segments of 5 s are 20 minutes. */
#define KN_LIMIT_SEGMENT_PROMPTS 256
/* Interrupted runs that can be resumed: the oldest go. One holds about 120 MB at 1280 x 720 x 81, and 20 MB more a
 * segment of a long video. */
#define KN_LIMIT_RUN_STATES 32
/* Text states kept on disk: one prompt of Wan's encoder has 0.5 to 16 MB, so hundreds of prompts. */
#define KN_LIMIT_TEXT_CACHE_BYTES (1ull << 30)
/* Packed weights kept on disk: both experts of Wan 2.2 A14B in bf16 are 57 GB. The least recently used go. */
#define KN_LIMIT_PACKED_CACHE_BYTES (64ull << 30)
/* Of a large disk, what packed weights leave free: a few hours of video, or a model to fetch. */
#define KN_LIMIT_PACKED_CACHE_SPARE_BYTES (10ull << 30)
/* Blocks of a denoiser: the deepest published ones have about 60. */
#define KN_LIMIT_BLOCKS 1024
/* A message between server and worker: a request or a result; prompts are the largest part. */
#define KN_LIMIT_WIRE_BYTES (4u << 20)
/* The log's file, before it is begun anew: days of a busy server. */
#define KN_LIMIT_LOG_BYTES (16u << 20)
/* Of the log's file, what is read when the server starts: some thousand lines. */
#define KN_LIMIT_LOG_RECALL_BYTES (256u << 10)
/* Workers of a server: one a device, more than eight at once is a mistake. */
#define KN_LIMIT_WORKERS 8
/* A worker says every second that it is alive; a machine that swaps may starve it for a while, not for so long. */
#define KN_LIMIT_WORKER_SILENCE_S 60
/* A worker that has a job and uses no processor time: even a slow network disk gives something in this time. */
#define KN_LIMIT_WORKER_HANG_S 600
/* How long a job that is to stop may take to its next operation before its worker is ended: at the largest sizes an
 * operation takes seconds. */
#define KN_LIMIT_STOP_S 10
/* Jobs that wait: a night's work of a script that asks for everything; each is a few kilobytes. */
#define KN_LIMIT_QUEUE 10000
/* Jobs in one answer of a list: a page shows no more, and each is a few kilobytes of JSON. */
#define KN_LIMIT_JOB_PAGE 200
/* Events given again to a client that was away: about an hour of a busy queue; older ones are in the jobs themselves. */
#define KN_LIMIT_EVENT_REPLAY 5000
/* One value in the database: a result with the times of a thousand steps is far below a megabyte. */
#define KN_LIMIT_DB_VALUE_BYTES (16u << 20)
/* A name under which the queue keeps a value: they come from our own code. */
#define KN_LIMIT_VALUE_NAME_BYTES 64
/* Jobs that one cleanup lists or removes: some megabytes of answer; the next one goes on. */
#define KN_LIMIT_CLEANUP 10000
/* Listeners of the queue inside one program: the feeds and the supervisor. */
#define KN_LIMIT_LISTENERS 8
/* What may wait for a slow listener of a feed before it is cut off; a job's event is about 4 KB. */
#define KN_LIMIT_FEED_BYTES (1u << 20)
/* Connections of the server: 1,000 idle listeners, and room to work. */
#define KN_LIMIT_CONNECTIONS 2048
/* A JSON body: a prompt of the largest size, and room for everything else. */
#define KN_LIMIT_BODY_BYTES (1u << 20)
/* An uploaded picture or clip: 50 MB are common from cameras. */
#define KN_LIMIT_UPLOAD_BYTES (512ull << 20)
/* A URL: browsers and proxies agree on about 8 KB. */
#define KN_LIMIT_URL_BYTES (8u << 10)
/* The headers of a request, as many servers have it: cookies of every program on this host come along, whatever their port.
 * Each open connection holds three times as much. */
#define KN_LIMIT_HEADER_BYTES (16u << 10)
/* Parameters of a query, segments of a path: no route has more than a dozen. */
#define KN_LIMIT_QUERY_PARAMS  64
#define KN_LIMIT_PATH_SEGMENTS 32
/* Fields and files of a form: sixteen references and every parameter there is. */
#define KN_LIMIT_FORM_PARTS 64
/* The headers of one part of a form: a name, a file name of 255 characters, a type. */
#define KN_LIMIT_PART_HEADER_BYTES (4u << 10)
/* What a refused request may still send, so that its client comes to read why. */
#define KN_LIMIT_DISCARD_BYTES (64ull << 20)
/* Bytes a second below which a body that takes longer than the time-out is given up. */
#define KN_LIMIT_BODY_RATE_BYTES 1024
/* Browsers that are logged in: the one that was away longest goes. */
#define KN_LIMIT_SESSIONS 256
/* Addresses that guessed at the token lately; a table of 20 kB, in which more push out those that are nearest to being forgiven. */
#define KN_LIMIT_GUESSERS 1024
/* Answers that are kept for the next who asks the same: the lists and jobs that pages and scripts look at. */
#define KN_LIMIT_KEPT_ANSWERS 16
/* The largest of them: a page of jobs; 4 MB in all. */
#define KN_LIMIT_KEPT_ANSWER_BYTES (256u << 10)
/* Headers a handler adds to its reply. */
#define KN_LIMIT_REPLY_HEADERS 16
/* A message from a client on a WebSocket: nothing is expected from it. */
#define KN_LIMIT_SOCKET_MESSAGE_BYTES (4u << 10)
/* What the hub answers about one model or a page of a search: the largest list of files seen is about 2 MB. */
#define KN_LIMIT_HUB_ANSWER_BYTES (32u << 20)
/* A repository's model_index.json: a dozen lines. */
#define KN_LIMIT_HUB_INDEX_BYTES (1u << 20)
/* Files of a repository that are looked at; models have some hundred. */
#define KN_LIMIT_HUB_FILES 20000
/* A path inside a repository: file systems take 4,096 with everything before it. */
#define KN_LIMIT_HUB_PATH_BYTES 1024
/* A file of a repository: the hub itself takes no larger ones than 500 GB. */
#define KN_LIMIT_HUB_FILE_BYTES (1ull << 40)
/* Models in one answer of a search; the hub gives no more either. */
#define KN_LIMIT_HUB_RESULTS 100
/* Files that are fetched at a time: more are not faster, and the hub counts requests. */
#define KN_LIMIT_HUB_PARALLEL 4
/* What a download leaves free on the disk, so that other programs still can write. */
#define KN_LIMIT_HUB_SPARE_BYTES (512ull << 20)
/* Downloads that the server remembers, those that wait included; finished ones go first. */
#define KN_LIMIT_DOWNLOADS 64
/* What a server answers to a command: ten thousand waiting jobs of some kilobytes. */
#define KN_LIMIT_ANSWER_BYTES (128ull << 20)
/* A file with a token in its first line. */
#define KN_LIMIT_TOKEN_BYTES (4u << 10)
/* Jobs that one command names: more are a list for a script. */
#define KN_LIMIT_COMMAND_IDS 256
/* Webhooks: a studio tells a few programs, and each is looked at in every change of a job. */
#define KN_LIMIT_WEBHOOKS 32
/* The address of a webhook: those of chat services, with a secret inside, have about 200 bytes. */
#define KN_LIMIT_WEBHOOK_URL_BYTES 2048
/* What a delivery sends: receivers are written for a few kilobytes; of a larger job only what is small goes along. */
#define KN_LIMIT_WEBHOOK_BODY_BYTES (256u << 10)
/* What is read of a receiver's answer, which says nothing that is needed, before the connection is closed. */
#define KN_LIMIT_WEBHOOK_ANSWER_BYTES (64u << 10)
/* Receivers that are told at the same time: so many may be slow before others wait for their time-out. */
#define KN_LIMIT_WEBHOOK_PARALLEL 8
/* Deliveries of a webhook that are over and still can be looked at: days of a busy studio. */
#define KN_LIMIT_DELIVERIES 1000
/* Deliveries of a webhook in all: as many as jobs may wait; of a receiver that is away for longer the oldest go. */
#define KN_LIMIT_DELIVERIES_WAITING 10000
/* How long a receiver may ask to be left alone: a day, then it is asked again. */
#define KN_LIMIT_RETRY_AFTER_S 86400
/* Files of a ZIP: every frame of the longest video, and what is said of them. */
#define KN_LIMIT_ZIP_FILES (KN_LIMIT_FRAMES + 1)
/* Spans of a timeline: thousands of steps of a large model, block by block, in a file that a browser still opens. */
#define KN_LIMIT_TIMELINE_SPANS 200000
/* Threads: above this the partition tables of the kernels would need heap memory. */
#define KN_LIMIT_THREADS 256

#endif
