"""What a publication should cite: the software, both methods, and what a run used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scanlearn.config.run import RunConfig
from scanlearn.model_card.initial_weights import Start

SOFTWARE = "The napari-scanlearn developers. napari-scanlearn."

#: The pre-training methods of this package; ``CITATION.cff`` has the same.
METHODS = {
    "drasclr": (
        "Yu K, Sun L, Chen J, Reynolds M, Chaudhary T, Batmanghelich K. DrasCLR: A "
        "self-supervised framework of learning disease-related and anatomy-specific "
        "representation for 3D lung CT images. Medical Image Analysis, 2023, 103062. "
        "doi:10.1016/j.media.2023.103062"
    ),
    "joint": (
        "Nguyen DMH, Nguyen H, Mai TTN, Cao T, Nguyen BT, Ho N, Swoboda P, Albarqouni "
        "S, Xie P, Sonntag D. Joint self-supervised image-volume representation "
        "learning with intra-inter contrastive clustering. Proceedings of the AAAI "
        "Conference on Artificial Intelligence 37(12), 2023, 14426-14435. "
        "doi:10.1609/aaai.v37i12.26687"
    ),
}

_PYTORCH = (
    "Paszke A et al. PyTorch: An imperative style, high-performance deep learning "
    "library. Advances in Neural Information Processing Systems 32, 2019."
)

#: What else a task or method rests on, by its name.
_ALSO = {
    "segmentation": (
        "Ronneberger O, Fischer P, Brox T. U-Net: Convolutional networks for "
        "biomedical image segmentation. MICCAI 2015. "
        "doi:10.1007/978-3-319-24574-4_28",
    ),
    "detection": (
        "Zhou X, Wang D, Krähenbühl P. Objects as points. arXiv:1904.07850.",
    ),
    "outcome": (
        "Davidson-Pilon C. lifelines: survival analysis in Python. Journal of Open "
        "Source Software 4(40), 2019, 1317. doi:10.21105/joss.01317",
    ),
}

#: Clustering of the joint method, by its setting.
_CLUSTERING = {
    "deepcluster": (
        "Caron M, Bojanowski P, Joulin A, Douze M. Deep clustering for unsupervised "
        "learning of visual features. ECCV 2018. doi:10.1007/978-3-030-01264-9_9"
    ),
    "swav": (
        "Caron M, Misra I, Mairal J, Goyal P, Bojanowski P, Joulin A. Unsupervised "
        "learning of visual features by contrasting cluster assignments. Advances in "
        "Neural Information Processing Systems 33, 2020."
    ),
}

_IMAGENET = (
    "Deng J, Dong W, Socher R, Li L-J, Li K, Fei-Fei L. ImageNet: A large-scale "
    "hierarchical image database. CVPR 2009. doi:10.1109/CVPR.2009.5206848"
)


def used(config: RunConfig, starts: Sequence[Start]) -> tuple[str, ...]:
    """Return what a run used, each once, the software first."""
    names = [config.recipe.name, *(start.recipe for start in starts)]
    return tuple(dict.fromkeys([SOFTWARE, *_of(config, names, starts), _PYTORCH]))


def not_used(config: RunConfig, starts: Sequence[Start]) -> tuple[str, ...]:
    """Return the papers of the package's methods that the run did not use."""
    cited = used(config, starts)
    return tuple(paper for paper in METHODS.values() if paper not in cited)


def _of(
    config: RunConfig, names: Sequence[str], starts: Sequence[Start]
) -> Iterator[str]:
    for name in names:
        if name in METHODS:
            yield METHODS[name]
        yield from _ALSO.get(name, ())
    clustering = getattr(config.recipe, "clustering", None)
    if clustering in _CLUSTERING:
        yield _CLUSTERING[clustering]
    if any(start.released == "torchvision" for start in starts):
        yield _IMAGENET
