import type { Domain } from "./domain.ts";

export const shopOrders: Domain = {
  name: "shop-orders",
  naming: "support",
  artifact: "image",
  policy: `# Hearth & Harbour: order desk

You look after orders from the Hearth & Harbour shop once they are placed: where a parcel is, what can
still be changed, returns, exchanges, and damage on arrival. Advice on what to buy belongs to the
colleagues in the shop.

## Orders

- An order is *open* until the warehouse prints its label. Open orders can be changed freely: address,
  items, gift note, delivery day.
- A *packed* order can only be stopped. Stopping it returns the money within two working days.
- A *sent* order cannot be changed here; give the carrier's link and its delivery window.
- Several parcels can belong to one order. Answer for each parcel by its number.

## Returns

- Anything unused can come back within forty days of delivery. Candles, food and made-to-measure
  textiles are the exceptions, unless they arrived broken.
- The first label is free; a second one for the same order costs 4.90 €.
- Refunds go back the way the money came. Store credit is offered, never imposed, and it carries ten
  per cent on top.
- For exchanges, reserve the new item first. If it is sold out, say when the next delivery is planned.

## Damage

- Ask for one picture of the thing and one of the box. Both together settle nearly every claim.
- Below 60 € send a replacement at once, without asking for the broken one.
- Above that, open a claim with the carrier and tell the customer it takes three to six days.
- Glass and ceramics are collected, not posted. Book the collection for a day the customer names.

`,
  tools: [
    {
      name: "list_orders",
      description: "Lists a customer's orders, newest first, with their parcels and state.",
      parameters: {
        customer: "Name as written on the account.",
        since: "Only orders placed on or after this day, as YYYY-MM-DD.",
      },
      call: (scene) => ({ customer: scene.customer, since: scene.day() }),
      row: (scene) => ({
        order: `HH-${scene.count(100_000, 999_999)}`,
        placed: scene.day(),
        state: scene.random.pick(["open", "packed", "sent", "delivered", "returned"]),
        item: scene.product(),
        quantity: scene.count(1, 4),
        totalCents: scene.cents(),
        shipTo: { name: scene.customer, city: scene.city() },
        parcel: scene.code(12),
      }),
    },
    {
      name: "track_parcel",
      description: "Reads the carrier's scans of one parcel, oldest first.",
      parameters: { parcel: "Twelve letters and digits from the label." },
      call: (scene) => ({ parcel: scene.code(12) }),
      row: (scene) => ({
        at: `${scene.day()}T${scene.time()}`,
        place: scene.city(),
        scan: scene.random.pick(["accepted", "sorted", "on the van", "nobody home", "handed over"]),
        weightGrams: scene.count(180, 9_400),
      }),
    },
    {
      name: "create_return",
      description: "Opens a return and answers the label to print.",
      parameters: {
        order: "The order number, HH- and six digits.",
        reason: "The customer's reason, in their words.",
        refundTo: "card, transfer or credit.",
      },
      call: (scene) => ({
        order: `HH-${scene.count(100_000, 999_999)}`,
        reason: `the ${scene.product()} is smaller than it looked`,
        refundTo: scene.random.pick(["card", "transfer", "credit"]),
      }),
      row: (scene) => ({
        return: `R-${scene.code(8)}`,
        label: `https://returns.example/labels/${scene.random.hex(24)}`,
        expires: scene.day(),
        refundCents: scene.cents(),
      }),
    },
  ],
  userSentences: [
    (scene) => `Hello! ${scene.customer} here, asking about the ${scene.product()} I ordered.`,
    (scene) => `The parcel has been sitting in ${scene.city()} since ${scene.day()} and nothing moves.`,
    (scene) => `One corner of the ${scene.product()} arrived cracked 💔 I can send a photo.`,
    (scene) => `Could it go to my neighbour ${scene.person()} instead? I am away until ${scene.day()}.`,
    () => "I would rather have the money back on the card than store credit, thank you.",
    (scene) => `You charged ${scene.price()} for delivery, but the page said it was free above 50 €.`,
    () => "我想换一个颜色，请问还有货吗？",
    () => "Please add a gift note: « Joyeux anniversaire, à très bientôt ! » 🎂",
    (scene) => `The label number starts with ${scene.code(4)}, the rest is torn off.`,
  ],
  assistantSentences: [
    (scene) => `Thanks for writing, ${scene.customer}. I see the ${scene.product()} in your latest order.`,
    (scene) => `The carrier scanned the parcel in ${scene.city()} at ${scene.time()}; it should move again tomorrow.`,
    (scene) => `I can send a replacement for the ${scene.product()} today. Shall I do that?`,
    (scene) => `Your refund of ${scene.price()} goes back to the card and arrives by ${scene.day()}.`,
    () => "The order is still open, so the address can be changed. Please write out the new one in full.",
    () => "A picture of the box helps as well, since the carrier asks for both.",
    () => "这个颜色目前有货，我可以先为您保留一件。",
    (scene) =>
      `Here is what I would change:\n\n- item: ${scene.product()}\n- delivery: ${scene.day()}` +
      `\n- cost: ${scene.price()}\n\nIs that right?`,
    () => "The return is open and the label is below; any parcel shop of the carrier will take it 📦",
  ],
};
