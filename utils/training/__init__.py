"""Training beyond one call of `Trainer`: distillation, searches for settings, pruning."""

from utils.training.distillation import (
    DistillationTrainer,
    DistillationTrainingArguments,
    add_teacher_logits,
    entropy,
    kd_loss,
    softened,
    teacher_logits,
)
from utils.training.frozen import FrozenStates, freeze_lower
from utils.training.hidden_states import (
    StateDistillationTrainer,
    StateDistillationTrainingArguments,
    pretraining_losses,
)
from utils.training.history import intent_metrics, run_history, trained_model
from utils.training.pruning import (
    CubicSchedule,
    ParallelMLP,
    for_pruning,
    run_accuracies,
    set_sparsity,
    topk_mask,
    train_pruned,
)
from utils.training.search import SettingsRecorder, search_settings
from utils.training.students import drop_layers, student_init
