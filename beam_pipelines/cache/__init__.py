"""Files under the output's .cache: packs of images, their facts and thumbnails."""
