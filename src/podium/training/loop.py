"""The training loop, top to bottom: batches, steps, validation, checkpoints; resumed exactly where it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from podium.progress import duration, say
from podium.recipe import OptimConfig, Recipe
from podium.training import checkpoint, state
from podium.training.averaging import create_average
from podium.training.budget import Budget
from podium.training.choice import Choice
from podium.training.clipping import Scale, clip, clips_scaled
from podium.training.compiling import compiled_if_it_pays
from podium.training.failures import MemoryRanOut, finite, no_time, nothing_to_choose, too_large
from podium.training.feed import Fed, Feed, Waits, feed_of
from podium.training.memory import is_out_of_memory, parts
from podium.training.optim import create_optimizer, forget, freeze, hold_still, is_due, same_optimizer, set_lr
from podium.training.phases import Course, Stage
from podium.training.ranks import create_hardness
from podium.training.replay import Replay
from podium.training.setting import Setting
from podium.training.state import Epoch, Trained
from podium.training.threads import create_threads
from podium.training.watch import Watcher

WARM_STEPS = 20
"""Steps after which the pace is known, and with it whether compiling pays."""

STARVED = 0.03
"""Share of an epoch that a GPU may wait for batches before it makes them of images that lie on it."""

CHECK = 50
"""Steps between looks at whether the loss is finite: each waits for the device."""


def train(setting: Setting, recipe: Recipe) -> Trained:
    """Train to the recipe's end, from `last.pt` if there is one, and load the chosen weights into the model.

    Raises:
        TrainingError: if the loss stops being finite, or memory does not hold a single sample.
    """
    return Training(setting, recipe).run()


class Training:
    """One training: the loop is `run`, and what it calls follows in the order in which it is called."""

    def __init__(self, setting: Setting, recipe: Recipe) -> None:
        self.setting, self.recipe, self.model = setting, recipe, setting.model
        self.fabric, self.task, self.metric, self.ranks = setting.fabric, setting.task, setting.metric, setting.ranks
        self.optim = state.optim_of(setting.folder, recipe.optim)
        self.fused = not clips_scaled(self.fabric, recipe)
        optimizer = create_optimizer(self.optim, self.model, fused=self.fused)
        self.network, self.optimizer = self.fabric.setup(self.model, optimizer)
        self.forward: Callable[..., Any] = self.network
        self.course = Course(recipe)
        self.choice = Choice(recipe.train.checkpoint, self.metric.better, setting.folder, self.course.cycle_ends())
        self.watcher = Watcher(self.metric.better, costly=recipe.augment.costly)
        self.done, kept = state.resume(setting.folder, self.model, self.optimizer, self.ranks.rank)
        self.done.pieces, self.done.batch_size = max(self.done.pieces, recipe.train.accumulate), recipe.train.batch_size
        self.average = create_average(recipe.train, self.model)
        self.budget = Budget(
            recipe.train.epochs,
            recipe.train.seconds,
            self.ranks.agree(setting.spent) + self.done.elapsed,
            setting.validation if setting.validation is None else self.ranks.agree(setting.validation),
            passes=len(recipe.predict.views),
            judged=recipe.train.checkpoint != "last",
            **self.ranks.clock(),
        )
        self.saved, self.saved_at = time.monotonic(), len(self.done.history) if kept else -1
        self.hardness = create_hardness(self.ranks) if recipe.sampling.by == "hardness" else None
        self.replay = Replay[tuple[int, int]](recipe.train.replay) if recipe.train.replay else None
        self.parts = state.taken_up(
            kept, average=self.average, hardness=self.hardness, replay=self.replay, scale=Scale(self.fabric)
        )
        self.threads = create_threads(recipe.train.seconds is not None, self.fabric.device.type)
        self.stage, self.relieved, self.taken = cast(Stage | None, None), False, 0
        self.feed: Feed
        if kept:
            say(f"  {setting.label}: going on after epoch {len(self.done.history)}, batch {self.done.step}")

    def run(self) -> Trained:
        """Epochs until the budget is spent."""
        over = self._enter_epoch() or self._stops_early()
        if over and not self.done.history and not self.done.step:
            raise no_time(self.recipe, self.budget.elapsed)
        while not over or self.done.step:  # an epoch that a kill left open is closed
            loss, started, seen, waited = self._train_epoch()
            trained_for = time.monotonic() - started
            over = self.budget.over(self.done.epoch)
            score, val_loss = self._validate(last=over)
            row = (seen / trained_for, waited / trained_for, time.monotonic() - started)
            epoch = Epoch(self.done.epoch, self.done.lr, loss, score, val_loss, *row)
            over = self._close_epoch(epoch, over)
            over = over or self._enter_epoch()
        if self.saved_at != len(self.done.history):  # by the clock, an epoch may turn out to be the last after it
            self._save()
        if not self.ranks.by_first(lambda: self.choice.possible(self.done)):
            raise nothing_to_choose(self.recipe.train.checkpoint, self.metric.name, self.done.history)
        files = self.ranks.by_first(lambda: self.choice.finish(self.done))
        checkpoint.load_weights(files[-1], self.model, self.fabric.device)
        return self.done

    def _enter_epoch(self) -> bool:
        """Take up the phase that holds now; says whether the training is over already."""
        stage = self.course.stage_at(self.budget.done(len(self.done.history)))
        if stage is not self.stage:
            loader, how = self.setting.loader(stage.recipe), stage.recipe.input.normalize
            self.feed = feed_of(loader, self.fabric.device, how, relieved=self.relieved)
            self.stage = stage
            self.done.begun.setdefault(stage.schedule_start, len(self.done.history))
            self.task.use(stage.recipe)
            self._use_optim(stage.recipe.optim)
        return self.budget.over(self.done.position(len(self.feed)))

    def _use_optim(self, config: OptimConfig) -> None:
        """Go on with other settings of the optimiser, with its state if they allow that."""
        if not same_optimizer(self.optim, config):
            self.optimizer = self.fabric.setup_optimizers(create_optimizer(config, self.model, fused=self.fused))
        freeze(self.model, config)
        if self.ranks.size > 1 and config.freeze != self.optim.freeze:  # what is averaged is what is trained
            self.forward = self.network = self.fabric.setup_module(self.model)
            self.taken = 0  # what was compiled was of the wrapper before
        self.optim = config

    def _train_epoch(self) -> tuple[float, float, int, float]:
        """Mean loss, when it began, images seen, and seconds that it waited for them."""
        assert self.stage is not None
        done, steps, recipe = self.done, len(self.feed), self.stage.recipe
        scores = done.scores(greater_is_better=self.metric.greater_is_better)
        total = torch.tensor(done.total if self.ranks.first else 0.0, device=self.fabric.device)
        seen = 0
        self.network.train()
        hold_still(self.model)
        if done.step == 0 and is_due(recipe.optim, done.epoch):
            forget(self.optimizer)
        if self.replay:
            self.replay.begin((self.stage.start, done.epoch if self.hardness else 0))
        if self.hardness:
            if done.step == 0:
                self.hardness.begin_epoch()
            self.feed.loader.weights = self.hardness.weights(self.feed.loader.rows, recipe.sampling.power)
        started, waits, first = time.monotonic(), Waits(self.fabric.device), done.step
        for batch in self.feed.epoch(self.setting.seed, done.epoch, skip=done.step):
            waits.got()
            self.ranks.tick(often=recipe.train.seconds is not None, step=done.step)
            done.lr = self.course.lr(self.budget.done(done.position(steps), steps), scores, done.begun)
            set_lr(self.optimizer, done.lr)
            begun = time.monotonic()
            loss = self._step(batch, recipe)
            self.threads.took(time.monotonic() - begun)
            total += loss
            if self.replay and (again := self.replay.after((done.epoch, done.step), *self.ranks.sum(loss))):
                self._step(next(iter(self.feed.epoch(self.setting.seed, again[0], skip=again[1]))), recipe)
            if self.average:
                self.average.update(self.budget.done(done.position(steps)))
            seen += len(batch.rows)
            done.step += 1
            if done.step == min(WARM_STEPS, steps) and done.epoch == 1:
                self.setting.paced(self.ranks.size * seen / (time.monotonic() - started))
            self.taken += 1
            if self.taken == WARM_STEPS:
                self._compile_if_it_pays((time.monotonic() - started) / (done.step - first))
            if done.step % CHECK == 0:
                done.total = finite(self.ranks.sum(total)[0], self.done.epoch, self.recipe)
                total.fill_(done.total if self.ranks.first else 0.0)  # as after a resume
                if self._is_long_ago():
                    self._save()
            if self.budget.over(done.position(steps)):
                break
            waits.ask()
        whole, all_seen = self.ranks.sum(total, seen)
        return finite(whole, self.done.epoch, self.recipe) / max(1, done.step), started, round(all_seen), waits.seconds

    def _step(self, batch: Fed, recipe: Recipe) -> Tensor:
        """One step of the optimiser; where memory runs out, in twice as many parts. Returns the batch's loss."""
        while True:
            try:
                return self._step_in_parts(batch, recipe)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.done.pieces >= len(batch.rows):
                    raise too_large(error) if is_out_of_memory(error) else error from None
                if self.ranks.size > 1:
                    raise MemoryRanOut(self.done.pieces) from None
            self.optimizer.zero_grad(set_to_none=True)
            if self.fabric.device.type == "cuda":
                torch.cuda.empty_cache()
            self.done.pieces = min(2 * self.done.pieces, len(batch.rows))
            size = -(-len(batch.rows) // self.done.pieces)
            say(f"  {self.setting.label}: out of memory; from here {size} samples at a time, each step still of all")

    def _step_in_parts(self, batch: Fed, recipe: Recipe) -> Tensor:
        several = self.ranks.size
        size = len(batch.rows) if several == 1 else self.feed.loader.size  # of the whole, of which this is a slice
        loss = torch.zeros((), device=self.fabric.device)
        for part in (slices := list(parts(len(batch.rows), min(self.done.pieces, size // several)))):
            some = batch.part(part)
            share = len(some.rows) / size
            inputs = self.task.inputs(some, self.fabric.device)
            with self.fabric.no_backward_sync(self.network, enabled=several > 1 and part != slices[-1]):
                mean, _ = self.task.loss(self.forward(some.images, *inputs), some)
                self.fabric.backward(mean * (share * several))  # the mean over the devices follows
            if self.hardness:
                self.hardness.update(some.rows, self.task.each.cpu().numpy())
            loss += mean.detach() * share
        clip(self.fabric, self.network, self.optimizer, recipe.train)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    def _compile_if_it_pays(self, pace: float) -> None:
        left, pace = self.budget.left(self.done.position(len(self.feed))), self.ranks.agree(pace)
        how = self.recipe.train.compile
        compiled, why = compiled_if_it_pays(self.model, how, self.fabric, pace, left, self.network)
        if why and self.fabric.device.type != "cpu":
            say(f"  {self.setting.label}: {why}")
        self.forward = compiled or self.forward

    # ------------------------------------------------------------------ after an epoch

    def _validate(self, *, last: bool) -> tuple[float | None, float | None]:
        """The score and the loss on the validation fold, if it is time for them."""
        self.ranks.tick()
        if not self.budget.validates(self.done.epoch, self.recipe.train.val_every, last=last):
            return None, None
        started = self.budget.elapsed
        with self.average.in_place() if self.average else nullcontext():
            found = self.setting.validate()
        self.ranks.tick()
        self.budget.validated(self.ranks.agree(self.budget.elapsed - started))
        return found

    def _close_epoch(self, epoch: Epoch, over: bool) -> bool:
        """Remember the epoch, keep its weights if they may be chosen, save; says whether the training is over."""
        done, metric, better = self.done, self.metric, False
        done.history.append(epoch)
        done.step, done.total = 0, 0.0
        score = math.nan if epoch.score is None else epoch.score
        if math.isfinite(score) and (done.best_epoch == 0 or metric.better(score, done.best_score)):
            done.best_epoch, done.best_score, better = epoch.epoch, score, True
        if self.ranks.first:
            self.choice.offer(done, epoch, self._weights)
        over = over or self._stops_early()
        if over or not self.recipe.train.seconds or epoch.score is not None:
            self._save()
            self._tell(epoch, better)
        elif self._is_long_ago():
            self._save()
        if epoch.data_wait > STARVED and self.fabric.device.type == "cuda" and self.feed.relieve():
            self.relieved = True
            say(f"  {self.setting.label}: it waited for batches; {self.feed.told()}")
        for line in self.watcher.look(done.history):
            say(f"  {self.setting.label}: {line}")
        return over

    def _stops_early(self) -> bool:
        patience, done = self.recipe.train.early_stop, self.done
        if patience is None or done.step or done.best_epoch == 0 or len(done.history) - done.best_epoch < patience:
            return False
        say(f"  {self.setting.label}: stopped: no better {self.metric.name} in {patience} epochs (train.early_stop)")
        return True

    def _weights(self) -> dict[str, Any]:
        """The checkpoint to choose: weights, averaged if they are, and what the task learnt."""
        model = self.average.weights() if self.average else self.model.state_dict()
        return {"model": model, "task": self.task.state()}

    def _is_long_ago(self) -> bool:
        """Whether it is time to save."""
        train, passed = self.recipe.train, time.monotonic() - self.saved
        return bool(self.ranks.agree(passed > min(train.save_every * 60, (train.seconds or math.inf) / 10)))

    def _save(self) -> None:
        self.done.elapsed, self.saved = self.budget.elapsed - self.setting.spent, time.monotonic()
        extra = self._weights() if self.average else {"task": self.task.state()}
        extra |= {"optim": self.optim.tree()} | {name: part.state() for name, part in self.parts.items()}
        rngs = self.ranks.gather(state.rng())
        if self.ranks.first:
            state.save(self.setting.folder, self.done, self.model, self.optimizer, extra, rngs)
            self.choice.clean(self.done)
        self.saved_at = len(self.done.history)

    def _tell(self, e: Epoch, better: bool) -> None:
        of, left = "" if self.recipe.train.seconds else f"/{self.recipe.train.epochs}", self.budget.left(e.epoch)
        score = "" if e.score is None else f", {self.metric.name} {e.score:.4f}{'*' if better else ' '}"
        say(
            f"  {self.setting.label} epoch {e.epoch}{of}: loss {e.loss:.4f}{score} "
            f"{e.images_per_s:.0f} images/s, {e.data_wait:.0%} waiting for data, {duration(left)} left"
        )
