"""Words that open the trade (行业) in an entity's name, and places that names begin with."""

import re
from functools import lru_cache

_WORDS = """
不锈钢 专利 专用 丝绸 中介 中药 乐器 乘用 书店 乳业 乳品 互联网 五交化 五金 交通 产业 产权 人力
人工智能 人才 仓储 仪器 仪表 企业 休闲 会务 会展 会所 会计 传动 传媒 传感 传播 体育 供应 供应链 供水
供热 供销 便利 保健 保安 保洁 保理 保险 信息 信托 信用 修理 俱乐部 健康 健身 储运 光伏 光学 光电
公关 公寓 公路 典当 养殖 养老 兽医 兽药 内衣 再生 农业 农产品 农副产品 农机 农贸 农资 冶炼 冶金 冷冻
冷却 冷藏 冷饮 净化 净水 减速机 出口 出版 出租 刀具 切削 创业 创意 制作 制冷 制刷 制品 制版 制罐
制药 制衣 制造 办公 加工 加油 动力 动漫 动物 劳务 劳动 劳防 包装 化妆品 化学 化工 化纤 区块链 医学
医疗 医药 医院 卫浴 卫生 印业 印刷 印务 印染 印花 印铁 压缩机 厨具 厨房 发展 口腔 合成 合金 咖啡
咨询 商业 商务 商厦 商贸 啤酒 喷涂 喷漆 器材 器械 园区 园林 园艺 国际 国际物流 国际贸易 图书 图文
土地 土特产 土石方 地产 地坪 地质 城市 培训 基因 基金 塑业 塑料 塑模 塑胶 复合 外贸 大数据 大药房
大酒店 太阳能 奶业 娱乐 婚庆 安保 安全 安装 安防 实业 实验 宠物 审计 客运 室内 家具 家居 家庭 家政
家用 家电 家装 密封 小额贷款 展示 展览 工业 工业区 工具 工商 工程 工艺 工贸 工量具 市场 市政 布艺
幕墙 干洗 干燥 幼儿 广告 广播 床上 建工 建材 建筑 建设 开关 开发 形象 彩印 影像 影视 律师 快运 快递
成套 房产 房地产 房屋 手表 手袋 托运 技术 投资 护理 报关 担保 拆迁 拉链 拍卖 拓展 控制 控股 摄影
摩托车 收藏 教学 教育 数字 数据 数控 数码 整形 文体 文具 文创 文化 文教 文旅 文艺 新型 新材料 新能源
旅游 旅行 旅行社 旅馆 无线电 日化 日用 早教 时装 景观 智能 暖通 服务 服装 服饰 期货 木业 木制品 木材
机动车 机器人 机床 机械 机电 杂货 材料 林业 果品 果蔬 染整 染料 标准件 标识 桑拿 检测 检验 棉纺 棋牌
模具 橡塑 橡胶 母婴 毛纺 民用 气体 气动 水产 水利 水务 水处理 水果 水泥 水电 水运 水饺 污水 汽车
汽配 油墨 油漆 油脂 泵业 洁具 洗涤 测控 测绘 测量 浴场 涂料 涂装 消毒 消防 润滑 液压 混凝土 清洁
清洗 渔业 港口 游戏 游泳馆 游艺 火锅 灯光 灯饰 烘焙 烟草 热处理 热能 焊接 照明 熟食 燃料 燃气 燃油
牧业 物业 物流 物联网 物贸 物资 特种 特钢 玉器 玩具 环保 环境 玻璃 珠宝 生态 生活 生物 生鲜 电信
电力 电动 电商 电器 电声 电子 电工 电机 电梯 电气 电源 电热 电磁 电线 电缆 电脑 电讯 电镀 留学 畜牧
百货 皮件 皮具 皮革 盆景 直播 真空 眼科 眼镜 知识产权 石化 石材 石油 矿业 砂轮 研磨 研究 磁性 磁材
礼仪 礼品 票务 票据 私募 种业 种植 科学 科技 科教 科贸 租赁 租车 移民 空气 空调 空间 童装 童车 策划
管业 管理 管道 箱包 粮油 精密 精工 精细 糕点 糖酒 系统 紧固件 纸业 纸制品 纸品 纸箱 纺织 纽扣 线缆
织造 经济 经营 经贸 结构 绘图 绳网 维修 综合 绿化 编织 缝纫 网吧 网络 置业 羊毛 美发 美容 美甲 羽绒
职业 肉类 股权 胶带 胶粘 能源 自动化 自控 自行车 航空 航运 船务 船舶 艺术 节能 花卉 苗木 茶业 茶叶
茶楼 药业 药品 药房 营养 营销 蔬菜 蛋糕 融资 衡器 衬衫 装修 装卸 装备 装潢 装饰 计算机 计量 设备
设计 证券 评估 诊所 诊断 试剂 调味 调味品 豆制品 财务 财税 货代 货物 货运 质量 贸易 资产 资本 资源
超市 足浴 跨境 车辆 轮胎 软件 轴承 轻工 辅料 过滤 运动 运输 进出口 连锁 通信 通讯 通风 造纸 造船
道路 配件 配送 酒业 酒家 酒店 酒楼 酸洗 采购 重工 量具 金属 金融 针纺 针织 钛业 钟表 钢业 钢材 钢琴
钢管 钢结构 钢铁 钻石 铁路 铜业 铜材 铝业 铝制品 银行 铸造 销售 锻造 门业 门窗 阀门 防水 防腐 陶瓷
集装箱 零部件 面料 面粉 面馆 鞋业 鞋帽 音响 顾问 预拌 颜料 风机 食品 食用 餐饮 餐馆 饮料 饮用 饮食
饲料 首饰 香料 驾驶 高分子 高科技 鲜花 齿科
"""

TRADES = frozenset(_WORDS.split())
"""Two to four characters each; what a brand is told from. The frequent ones suffice."""

_RANKS = re.compile(
    "(特别行政区|维吾尔自治区|壮族自治区|回族自治区|自治区|自治州|自治县|自治旗|地区|新区|矿区|林区|省|市|盟|县|区|旗)$"
)
_PEOPLES = re.compile(
    "(蒙古|回|藏|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|拉祜|水|东乡|纳西|景颇|柯尔克孜|土"
    "|达斡尔|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|普米|塔吉克|怒|鄂温克|裕固|独龙|鄂伦春|各)?族?(各族)?$"
)
_ELSEWHERE = ("中国", "中华", "全国", "亚洲", "香港", "澳门", "台湾", "亚太", "远东", "华东")
_ALSO_BRANDS = {"东方", "东兴", "凤凰", "开平", "高平", "长乐", "长春", "永安", "富阳", "吉安", "保山", "兴平", "万源"}


def _short(full: str) -> str:
    """`full` without its rank: 上海市 → 上海, 延边朝鲜族自治州 → 延边; empty when one character would remain."""
    stem = _RANKS.sub("", full)
    if stem.endswith("族"):
        stem = _PEOPLES.sub("", stem)
    return stem if len(stem) > 1 else ""


@lru_cache(maxsize=1)
def places() -> tuple[dict[str, set[str]], set[str]]:
    """Places names begin with (GB/T 2260, abolished ones too), and by each of them the places within it.

    Provinces, prefectures and county-level cities also stand without their rank (杭州), districts and counties
    only after the place they belong to (上海浦东), for many of them are ordinary words (和平, 新华).
    """
    from stdnum import numdb

    within: dict[str, set[str]] = {}
    alone = set(_ELSEWHERE)
    for _, _, _, province, children in numdb.get("cn/loc").prefixes:
        if not province:
            continue
        above = {province["province"], _short(province["province"])} - {""}
        alone |= above
        prefecture = above
        for _, number, _, found, _ in children:
            full = re.sub(r"\[.*?\]", "", found["county"])
            if full in {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"} or number == "0000":
                continue
            spellings = {full, _short(full)} - {""}
            is_prefecture = number.endswith("00")
            alone |= spellings if is_prefecture or full.endswith("市") else {full}
            prefecture = spellings if is_prefecture else prefecture
            for outer in above | (set() if is_prefecture else prefecture):
                within.setdefault(outer, set()).update(spellings)
    return within, alone - _ALSO_BRANDS
