#!/bin/bash
# Two machines of eight GPUs. One torchrun a machine; they find each other at the first one's address.
# A job that is about to be ended gets SIGUSR1 a minute before: the run saves, ends with exit code 85, and is queued again.
#SBATCH --job-name=transduce
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@60
#SBATCH --requeue
#SBATCH --output=%x-%j.log

set -uo pipefail
run="${1:?the run folder, on a file system that all machines see}"
first="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"

srun --kill-on-bad-exit=1 torchrun \
    --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node 8 \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:29500" \
    --signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \
    -m -- tasks.translation.train configs/translation/default.toml \
    batch.tokens=400000 train.lr=2e-3 train.parallel=ddp train.patience_seconds=300 \
    --run "$run" --resume
code=$?
if [ "$code" -ne 0 ] && [ -e "$run/checkpoints/last" ] && [ ! -e "$run/metrics.json" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
