/* The C interface, compiled as C. */
#include <segedge/segedge.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

static void check(int holds, const char* what) {
  if (!holds) {
    ++failures;
    fprintf(stderr, "%s; last error: %s\n", what, segedge_error());
  }
}

int main(void) {
  segedge_engine* engine = NULL;
  check(segedge_load("/nonexistent", 0, &engine) == SEGEDGE_INPUT, "a missing folder");
  check(engine == NULL, "no engine after a failure");
  check(strstr(segedge_error(), "no such engine") != NULL, "its sentence");
  check(segedge_load(NULL, 0, &engine) == SEGEDGE_INPUT, "no folder");
  check(segedge_load(SEGEDGE_TINY, 0, NULL) == SEGEDGE_INPUT, "no place for the engine");
  check(segedge_classes(NULL) == 0 && segedge_class_name(NULL, 0) == NULL, "no engine has no classes");

  check(segedge_load(SEGEDGE_TINY, 1, &engine) == SEGEDGE_OK, "the tiny engine loads");
  check(segedge_error()[0] == '\0', "no error after success");
  check(segedge_classes(engine) == 1 && strcmp(segedge_class_name(engine, 0), "nucleus") == 0, "its class");
  check(segedge_class_name(engine, 1) == NULL, "no further class");

  uint8_t pixels[4 * 5 * 3], labels[4 * 5];
  memset(pixels, 0, sizeof pixels);
  memset(labels, 9, sizeof labels);
  segedge_image image = {pixels, 4, 5, 3, 0, SEGEDGE_UINT8};
  check(segedge_segment(engine, &image, labels, sizeof labels) == SEGEDGE_OK, "an image");
  /* 0.5 * (0 - 0.485) / 0.229 + (0.456 / 0.224) + 0.75 * (-0.406 / 0.225) = -0.377 */
  for (size_t i = 0; i < sizeof labels; ++i) check(labels[i] == 0, "black is background");
  check(segedge_segment(engine, &image, labels, sizeof labels - 1) == SEGEDGE_INPUT, "too few labels");
  check(segedge_segment(engine, NULL, labels, sizeof labels) == SEGEDGE_INPUT, "no image");
  check(segedge_segment(NULL, &image, labels, sizeof labels) == SEGEDGE_INPUT, "no engine");
  image.width = 0;
  check(segedge_segment(engine, &image, labels, sizeof labels) == SEGEDGE_INPUT, "an empty image");
  segedge_free(engine);
  segedge_free(NULL);
  printf("%d failures\n", failures);
  return failures > 0;
}
