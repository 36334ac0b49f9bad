"""Licence and citation of VGG-16's weights."""

LICENCE = "CC BY 4.0 (K. Simonyan and A. Zisserman's weights)"
CITATION = (
    "K. Simonyan, A. Zisserman. Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition. ICLR 2015."
)
