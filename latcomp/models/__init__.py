"""The models: found by name, path or fingerprint, checked against what a header says of them, loaded.

Importing this room needs neither torch nor numpy."""

from latcomp.models.cards import ModelCard, card_of, list_models, macs_per_pixel, trained_in_words, training_facts
from latcomp.models.folders import CONFIG, WEIGHTS, weights_folder
from latcomp.models.headers import check_header, faults_of, probe_of, spec_of
from latcomp.models.identity import fingerprint_of, model_record, weights_sha256
from latcomp.models.integrity import sha256_of
from latcomp.models.loading import load_lit, load_prior, load_tokenizer, prior_finder
from latcomp.models.profiles import notes_of, profile_of
from latcomp.models.public import companions, published
from latcomp.models.registry import (
    DEFAULT_TOKENIZER,
    beside,
    find_lit,
    find_model,
    find_prior,
    find_tokenizer,
    tokenizer_names,
)

__all__ = [
    "CONFIG",
    "DEFAULT_TOKENIZER",
    "WEIGHTS",
    "ModelCard",
    "beside",
    "card_of",
    "check_header",
    "companions",
    "faults_of",
    "find_lit",
    "find_model",
    "find_prior",
    "find_tokenizer",
    "fingerprint_of",
    "list_models",
    "load_lit",
    "load_prior",
    "load_tokenizer",
    "macs_per_pixel",
    "model_record",
    "notes_of",
    "prior_finder",
    "probe_of",
    "profile_of",
    "published",
    "sha256_of",
    "spec_of",
    "tokenizer_names",
    "trained_in_words",
    "training_facts",
    "weights_folder",
    "weights_sha256",
]
