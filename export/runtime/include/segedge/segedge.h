/* The same engine for C. No call throws or exits; functions that can fail return a status. */
#ifndef SEGEDGE_SEGEDGE_H
#define SEGEDGE_SEGEDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum segedge_status {
  SEGEDGE_OK = 0,
  SEGEDGE_INPUT = 2,    /* the files or arguments given are at fault */
  SEGEDGE_MACHINE = 3,  /* this machine lacks something */
  SEGEDGE_INTERNAL = 70 /* a bug of this library */
} segedge_status;

typedef struct segedge_engine segedge_engine;

typedef enum segedge_dtype { SEGEDGE_UINT8 = 0, SEGEDGE_UINT16, SEGEDGE_INT16, SEGEDGE_FLOAT32 } segedge_dtype;

/* Decoded values, channels interleaved, in the machine's byte order. channels: those of the task; where it has colours, 1
   (grey), 3 (RGB), or 4 bytes (RGB and an ignored one). stride: bytes from row to row, 0 = packed. */
typedef struct segedge_image {
  const void* data;
  int height;
  int width;
  int channels;
  ptrdiff_t stride;
  segedge_dtype dtype;
} segedge_image;

/* Loads an engine folder into *engine (NULL on failure). threads: 0 = one for each physical core. */
segedge_status segedge_load(const char* folder, int threads, segedge_engine** engine);

/* The same, refusing what none of these files of public keys has signed; keys in ~/.config/segedge/trusted_keys count as
   well, for segedge_load too. */
segedge_status segedge_load_trusted(const char* folder, int threads, const char* const* keys, size_t count,
                                    segedge_engine** engine);

/* Who vouches for a loaded engine, one sentence: the key that signed it, or that nobody does. */
const char* segedge_vouched(const segedge_engine* engine);

/* Writes height * width class indices, row by row, to labels, which holds capacity bytes; where labels overlap, that many
   0 and 1 for each of segedge_maps() maps, one map after the other. */
segedge_status segedge_segment(segedge_engine* engine, const segedge_image* image, uint8_t* labels, size_t capacity);

/* Maps of a mask: 1, or the number of classes where labels overlap. */
size_t segedge_maps(const segedge_engine* engine);

/* Number of classes, and the name of each (NULL beyond them). One class means a single foreground map. */
size_t segedge_classes(const segedge_engine* engine);
const char* segedge_class_name(const segedge_engine* engine, size_t index);

/* Why this thread's last call failed, one sentence; "" if none has. Valid until the thread's next call. */
const char* segedge_error(void);

/* Frees an engine; NULL is allowed. */
void segedge_free(segedge_engine* engine);

#ifdef __cplusplus
}
#endif

#endif
