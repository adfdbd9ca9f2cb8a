/* Segments one grey gradient and counts its foreground: example-segment-c ENGINE */
#include <segedge/segedge.h>
#include <stdio.h>

enum { height = 480, width = 640 };
static uint8_t pixels[height * width * 3], labels[height * width];

int main(int argc, char** argv) {
  segedge_engine* engine = NULL;
  segedge_status status = segedge_load(argc > 1 ? argv[1] : "engine", 0, &engine);
  for (size_t i = 0; i < sizeof pixels; ++i) pixels[i] = (uint8_t)(i / 3 % 256);
  const segedge_image image = {pixels, height, width, 3, 0, SEGEDGE_UINT8};
  if (status == SEGEDGE_OK) status = segedge_segment(engine, &image, labels, sizeof labels);
  if (status != SEGEDGE_OK) {
    fprintf(stderr, "error: %s\n", segedge_error());
  } else {
    size_t foreground = 0;
    for (size_t i = 0; i < sizeof labels; ++i) foreground += labels[i] != 0;
    printf("%dx%d, %zu foreground pixels\n", width, height, foreground);
  }
  segedge_free(engine);
  return status;
}
